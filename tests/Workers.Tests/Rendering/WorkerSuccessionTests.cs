using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Tests.Formats;
using Shouldly;
using Xunit;
using static Pipeline.Workers.Tests.Rendering.RenderPipeline;

namespace Pipeline.Workers.Tests.Rendering;

/// <summary>What a worker leaves behind for the next one. Each test ends its worker, so each has servers of its own.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class WorkerSuccessionTests : IAsyncLifetime
{
    private const string Attempt = "select outcome from pipeline.generation_attempts where generation_id = $1";
    private const string Leases = "select count(*) from pipeline.generation_leases where generation_id = $1";

    private readonly RenderPipeline _pipeline = new();

    public Task InitializeAsync() => _pipeline.InitializeAsync();

    public Task DisposeAsync() => _pipeline.DisposeAsync();

    [Fact]
    public async Task Too_many_requests_closes_the_gate_and_another_worker_does_not_even_ask()
    {
        var model = _pipeline.Script(
            429,
            """{"error":{"code":"rate_limit_exceeded","message":"Slow."}}""",
            ("Retry-After", "600")
        );
        var (first, second) = (NewRender(model.Name), NewRender(model.Name));
        var before = DateTimeOffset.UtcNow;

        var told = await _pipeline.RenderAsync<RenderPostponed>(first);
        using var other = await _pipeline.ReplaceWorkerAsync();
        var toldByOther = await _pipeline.RenderAsync<RenderPostponed>(second);

        told.Until.ShouldBeInRange(before.AddSeconds(600), DateTimeOffset.UtcNow.AddSeconds(601));
        told.Reason.ShouldBe("The provider answered 429 rate_limit_exceeded: Slow.");
        toldByOther.Until.ShouldBeInRange(before.AddSeconds(600), told.Until);
        toldByOther.Reason.ShouldBe(told.Reason);
        model.Calls.ShouldBe(1);
        (await _pipeline.AskAsync(Leases, first.GenerationId)).ShouldBe("0");
        (await _pipeline.AskAsync(Attempt, first.GenerationId)).ShouldBeNull("the attempt is not spent");
        (await _pipeline.DeadLettersAsync()).ShouldBe(0u);
        await other.StopAsync();
    }

    [Fact]
    public async Task Worker_that_stops_gives_its_unfinished_render_back_and_spends_no_attempt()
    {
        var model = _pipeline.Script(
            async (context, call) =>
            {
                if (call == 1)
                    await Task.Delay(-1, context.RequestAborted);
                await context.Response.WriteAsync(Base64(TinyFiles.Png(3, 2)));
            }
        );
        var render = NewRender(model.Name);
        await _pipeline.SendAsync(render);
        await model.Called;

        var watch = Stopwatch.StartNew();
        using var next = await _pipeline.ReplaceWorkerAsync();

        (await _pipeline.AnswerAsync<RenderSucceeded>(render)).Attempt.ShouldBe(1);
        watch.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(60)); // The bus waits up to 20 s for what is at hand.
        model.Calls.ShouldBe(2);
        (await _pipeline.AskAsync(Leases, render.GenerationId)).ShouldBe("0");
        (await _pipeline.DeadLettersAsync()).ShouldBe(0u);
        await next.StopAsync();
    }

    [Fact]
    public async Task Database_that_is_away_while_the_provider_renders_costs_no_second_call()
    {
        var answer = new TaskCompletionSource();
        var model = _pipeline.Script(
            async (context, _) =>
            {
                await answer.Task;
                await context.Response.WriteAsync(Base64(TinyFiles.Png(3, 2)));
            }
        );
        var render = NewRender(model.Name);
        await _pipeline.SendAsync(render);
        await model.Called;

        await _pipeline.TakeDatabaseAwayAsync();
        answer.SetResult();
        // The picture is in the store while nothing can be recorded: that is what is waited out.
        await Until.TrueAsync("the object", async () => await _pipeline.StoredAsync(render.GenerationId) == 1);
        await _pipeline.GiveDatabaseBackAsync();

        (await _pipeline.AnswerAsync<RenderSucceeded>(render)).Attempt.ShouldBe(1);
        model.Calls.ShouldBe(1);
        (await _pipeline.DeadLettersAsync()).ShouldBe(0u);
    }
}
