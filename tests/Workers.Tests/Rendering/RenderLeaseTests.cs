using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Tests.Formats;
using Shouldly;
using Xunit;
using static Pipeline.Workers.Tests.Rendering.RenderPipeline;

namespace Pipeline.Workers.Tests.Rendering;

/// <summary>Who renders an attempt, and what becomes of one who has lost it.</summary>
public sealed class RenderLeaseTests(RenderPipeline pipeline) : IClassFixture<RenderPipeline>
{
    private const string Told = "select count(*) from pipeline.outbox where routing_key = $1::text";
    private const string Objects =
        "select count(*) from pipeline.catalog_objects where key like 'generated/' || $1::text || '/%'";
    private const string Attempts = "select count(*) from pipeline.generation_attempts where generation_id = $1";
    private const string Epoch = "select epoch from pipeline.generation_leases where generation_id = $1";
    private const string Until = "select lease_until from pipeline.generation_leases where generation_id = $1";

    private static readonly byte[] Png = TinyFiles.Png(3, 2);

    [Fact]
    public async Task Same_attempt_twice_at_once_is_rendered_once()
    {
        var (model, finish) = ScriptSlow();
        var render = NewRender(model.Name);
        await pipeline.SendAsync(render);
        await model.Called;

        await pipeline.ConsumeAsync(render);
        finish.SetResult();
        await pipeline.AnswerAsync<RenderSucceeded>(render);

        model.Calls.ShouldBe(1);
        (await pipeline.AskAsync(Told, render.GenerationId)).ShouldBe("1");
        (await pipeline.DeadLettersAsync()).ShouldBe(0u);
    }

    [Fact]
    public async Task Redelivery_after_the_end_renders_nothing_and_tells_the_end_again()
    {
        var model = pipeline.Script(Png);
        var render = NewRender(model.Name);
        var told = await pipeline.RenderAsync<RenderSucceeded>(render);
        await ExecuteAsync($"delete from pipeline.outbox where routing_key = '{render.GenerationId}'");

        (await pipeline.RenderAsync<RenderSucceeded>(render)).ShouldBe(told);

        model.Calls.ShouldBe(1);
        (await pipeline.AskAsync(Told, render.GenerationId)).ShouldBe("1");
        (
            await pipeline.AskAsync(
                "select count(*) from pipeline.generation_leases where generation_id = $1",
                render.GenerationId
            )
        ).ShouldBe("0");
    }

    [Fact]
    public async Task Redelivery_after_a_failure_tells_it_again()
    {
        var model = pipeline.Script(400, """{"error":{"code":"moderation_blocked","message":"No."}}""");
        var render = NewRender(model.Name);
        var told = await pipeline.RenderAsync<RenderFailed>(render);
        await ExecuteAsync($"delete from pipeline.outbox where routing_key = '{render.GenerationId}'");

        (await pipeline.RenderAsync<RenderFailed>(render)).ShouldBe(told);
        model.Calls.ShouldBe(1);
    }

    [Theory]
    [InlineData("1 hour")]
    [InlineData("-1 hour")] // A lapsed lease is the sweep's to find: the next attempt is the saga's to begin.
    public async Task Redelivery_of_an_attempt_that_another_worker_has_begun_renders_nothing(string left)
    {
        var model = pipeline.Script(Png);
        var render = NewRender(model.Name);
        await LeaseToAnotherAsync(render, attempt: 1, left);

        await pipeline.ConsumeAsync(render);

        model.Calls.ShouldBe(0);
    }

    [Fact]
    public async Task Next_attempt_takes_the_lease_of_the_one_before()
    {
        var model = pipeline.Script(Png);
        var render = NewRender(model.Name) with { Attempt = 2 };
        await LeaseToAnotherAsync(render, attempt: 1, "1 hour");

        (await pipeline.RenderAsync<RenderSucceeded>(render)).Attempt.ShouldBe(2);
    }

    [Fact]
    public async Task Earlier_attempt_is_not_rendered_any_more()
    {
        var model = pipeline.Script(Png);
        var render = NewRender(model.Name);
        await LeaseToAnotherAsync(render, attempt: 2, "-1 hour");

        await pipeline.ConsumeAsync(render);

        model.Calls.ShouldBe(0);
    }

    [Fact]
    public async Task Lease_is_renewed_for_as_long_as_the_provider_takes()
    {
        var (model, finish) = ScriptSlow();
        var render = NewRender(model.Name);
        await pipeline.SendAsync(render);
        await model.Called;
        var epoch = await pipeline.AskAsync(Epoch, render.GenerationId);

        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < 3 * LeaseLength)
        {
            await Task.Delay(LeaseLength / 10);
            await pipeline.SendAsync(render); // Would take the attempt over as soon as the lease lapsed.
        }

        (await pipeline.AskAsync(Until, render.GenerationId)).ShouldNotBeNull();
        (await pipeline.AskAsync(Epoch, render.GenerationId)).ShouldBe(epoch);
        finish.SetResult();
        await pipeline.AnswerAsync<RenderSucceeded>(render);
        model.Calls.ShouldBe(1);
    }

    [Fact]
    public async Task Stolen_lease_ends_the_render_and_nothing_is_told_or_recorded()
    {
        var aborted = new TaskCompletionSource();
        var model = pipeline.Script(
            async (context, _) =>
            {
                context.RequestAborted.Register(() => aborted.TrySetResult());
                await Task.Delay(-1, context.RequestAborted);
            }
        );
        var render = NewRender(model.Name);
        var message = await pipeline.SendAsync(render);
        await model.Called;

        await LeaseToAnotherAsync(render, attempt: 2, "1 hour");
        await aborted.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await pipeline.ConsumedAsync(message);

        await ShouldHaveLeftNothing(render);
    }

    [Fact]
    public async Task Picture_that_comes_after_the_lease_is_lost_changes_nothing()
    {
        // The row changes just before the answer, so no renewal has noticed it.
        var render = default(RenderImage);
        var model = pipeline.Script(
            async (context, _) =>
            {
                await LeaseToAnotherAsync(render.ShouldNotBeNull(), attempt: 1, "1 hour");
                await context.Response.WriteAsync(Base64(Png));
            }
        );
        render = NewRender(model.Name);

        await pipeline.ConsumeAsync(render);

        await ShouldHaveLeftNothing(render);
    }

    [Theory]
    [InlineData("removed", 1)]
    [InlineData("lost", 0)] // The generation is there, and the sweep of leftovers takes what no row names.
    public async Task Original_that_is_stored_behind_the_removal_of_its_generation_is_removed(string end, int removals)
    {
        // As the saga does it: the attempt is closed, and then the generation is removed.
        var render = default(RenderImage);
        var model = pipeline.Script(
            async (context, _) =>
            {
                var id = render.ShouldNotBeNull().GenerationId;
                await ExecuteAsync(
                    $"""
                    with lease as (delete from pipeline.generation_leases where generation_id = '{id}')
                    insert into pipeline.generation_attempts (generation_id, attempt, outcome, ended_at)
                    values ('{id}', 1, '{end}', now())
                    """
                );
                await context.Response.WriteAsync(Base64(Png));
            }
        );
        render = NewRender(model.Name);

        await pipeline.ConsumeAsync(render);

        (
            await pipeline.AskAsync(
                """
                select count(*) from pipeline.outbox where exchange = 'remove-originals'
                    and convert_from(body, 'utf8')::json ->> 'generationId' = $1::text
                    and convert_from(body, 'utf8')::json ->> 'attempt' = '1'
                """,
                render.GenerationId
            )
        ).ShouldBe($"{removals}");
        (await pipeline.AskAsync(Objects, render.GenerationId)).ShouldBe("0");
    }

    [Fact]
    public async Task Attempt_that_was_given_up_is_neither_begun_nor_told()
    {
        var model = pipeline.Script(Png);
        var render = NewRender(model.Name);
        await ExecuteAsync(
            $"""
            insert into pipeline.generation_attempts (generation_id, attempt, outcome, ended_at)
            values ('{render.GenerationId}', 1, 'cancelled', now())
            """
        );

        await pipeline.ConsumeAsync(render);

        model.Calls.ShouldBe(0);
        (await pipeline.AskAsync(Told, render.GenerationId)).ShouldBe("0");
    }

    [Fact]
    public async Task Postponed_attempt_is_claimed_anew_with_another_epoch()
    {
        var answers = new[] { 429, 200 };
        var model = pipeline.Script(
            (context, call) =>
            {
                context.Response.StatusCode = answers[call - 1];
                context.Response.Headers.RetryAfter = "1";
                return context.Response.WriteAsync(call == 1 ? "" : Base64(Png));
            }
        );
        var render = NewRender(model.Name);
        var told = await pipeline.RenderAsync<RenderPostponed>(render);
        await ExecuteAsync($"delete from pipeline.outbox where routing_key = '{render.GenerationId}'");

        while (DateTimeOffset.UtcNow < told.Until)
            await Task.Delay(50);
        (await pipeline.RenderAsync<RenderSucceeded>(render)).Attempt.ShouldBe(1);

        model.Calls.ShouldBe(2);
    }

    private (ScriptedModel Model, TaskCompletionSource Finish) ScriptSlow()
    {
        var finish = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var model = pipeline.Script(
            async (context, _) =>
            {
                await finish.Task;
                await context.Response.WriteAsync(Base64(Png));
            }
        );
        return (model, finish);
    }

    private async Task ShouldHaveLeftNothing(RenderImage render)
    {
        (await pipeline.AskAsync(Told, render.GenerationId)).ShouldBe("0");
        (await pipeline.AskAsync(Objects, render.GenerationId)).ShouldBe("0");
        (await pipeline.AskAsync(Attempts, render.GenerationId)).ShouldBe("0");
        (await pipeline.AskAsync(Epoch, render.GenerationId)).ShouldBe("0", "the lease is the other worker's");
        (await pipeline.DeadLettersAsync()).ShouldBe(0u);
    }

    private Task LeaseToAnotherAsync(RenderImage render, int attempt, string length) =>
        ExecuteAsync(
            $"""
            insert into pipeline.generation_leases (generation_id, attempt, epoch, worker_id, lease_until)
            values ('{render.GenerationId}', {attempt}, 0, gen_random_uuid(), now() + interval '{length}')
            on conflict (generation_id) do update
                set attempt = excluded.attempt, epoch = 0, worker_id = excluded.worker_id,
                    lease_until = excluded.lease_until
            """
        );

    private async Task ExecuteAsync(string sql)
    {
        await using var command = pipeline.Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
