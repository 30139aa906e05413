using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Models;
using Pipeline.Workers.Rendering;
using Pipeline.Workers.Tests.Formats;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Rendering;

/// <summary>The circuit breaker of one process, and the gate that it closes for the others; on a clock of the test's own.</summary>
public sealed class ProviderBreakerTests(RenderPipeline pipeline) : IClassFixture<RenderPipeline>
{
    private const int Threshold = 3;
    private const string Gate =
        "select (closed_until - clock_timestamp() between interval '10 min' and interval '20 min')::text || ' ' || reason"
        + " from pipeline.provider_gates where provider = $1";

    private static readonly TimeSpan OutagePause = TimeSpan.FromMinutes(20);
    private static readonly TimeSpan Instant = TimeSpan.FromSeconds(1);

    private readonly ManualClock _clock = new();
    private readonly string _model = $"breaker-{Guid.NewGuid():N}";

    [Fact]
    public async Task Outage_opens_it_one_probe_at_a_time_is_let_through_and_a_picture_closes_it()
    {
        var isAway = true;
        var probe = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var probed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await HttpStub.StartAsync(
            async (context, number) =>
            {
                if (number == Threshold + 1)
                {
                    probed.SetResult();
                    await probe.Task;
                }

                if (isAway)
                    context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                else
                    await context.Response.WriteAsync(RenderPipeline.Base64(TinyFiles.Png(3, 2)));
            }
        );
        using var provider = NewProvider(server);

        for (var outage = 1; outage <= Threshold; outage++)
            (await AskAsync(provider)).ShouldBeOfType<RenderFailure>().IsOutage.ShouldBeTrue();

        // Open: nobody asks, here or in any other process.
        (await AskAsync(provider))
            .ShouldBeOfType<ProviderBusy>()
            .Pause.ShouldBe(OutagePause);
        _clock.Advance(OutagePause - Instant);
        (await AskAsync(provider)).ShouldBeOfType<ProviderBusy>();
        server.Requests.ShouldBe(Threshold);
        (await pipeline.AskAsync(Gate, _model))
            .ShouldNotBeNull()
            .ShouldStartWith("true Outage; the last of its failures");

        // Half open: one probe, while it lasts no other, and its failure opens it again.
        _clock.Advance(Instant);
        var probing = AskAsync(provider);
        await probed.Task.WaitAsync(TimeSpan.FromSeconds(60));
        (await AskAsync(provider)).ShouldBeOfType<ProviderBusy>();
        await pipeline.AskAsync("delete from pipeline.provider_gates where provider = $1 returning 1", _model);
        probe.SetResult();
        (await probing).ShouldBeOfType<RenderFailure>();
        (await AskAsync(provider)).ShouldBeOfType<ProviderBusy>();
        server.Requests.ShouldBe(Threshold + 1);
        (await pipeline.AskAsync(Gate, _model)).ShouldNotBeNull().ShouldStartWith("true ");

        // The next one brings a picture: closed.
        isAway = false;
        _clock.Advance(OutagePause);
        for (var picture = 0; picture < Threshold; picture++)
            (await AskAsync(provider)).ShouldBeOfType<RenderedPicture>();
        server.Requests.ShouldBe(2 * Threshold + 1);
    }

    [Fact]
    public async Task What_is_about_the_prompt_and_not_about_the_provider_does_not_open_it()
    {
        await using var server = await HttpStub.StartAsync(
            (context, _) =>
            {
                context.Response.StatusCode = StatusCodes.Status400BadRequest;
                return context.Response.WriteAsync("""{"error":{"code":"moderation_blocked"}}""");
            }
        );
        using var provider = NewProvider(server);

        for (var prompt = 0; prompt < 3 * Threshold; prompt++)
            (await AskAsync(provider)).ShouldBeOfType<RenderFailure>().Kind.ShouldBe(RenderFailureKinds.Moderation);

        server.Requests.ShouldBe(3 * Threshold);
        (await pipeline.AskAsync(Gate, _model)).ShouldBeNull();
    }

    private Provider NewProvider(HttpStub server) =>
        new(
            _model,
            new ModelOptions { Kind = ProviderKind.OpenAI, Endpoint = new Uri(server.Url, "v1") },
            new RenderingOptions { OutageThreshold = Threshold, OutagePause = OutagePause },
            pipeline.Services.GetRequiredService<ProviderGates>(),
            pipeline.Services.GetRequiredService<RenderMetrics>(),
            _clock
        );

    private Task<RenderResult> AskAsync(Provider provider) =>
        provider.RenderAsync(RenderPipeline.NewRender(_model), CancellationToken.None);
}
