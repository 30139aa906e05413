using Pipeline.Publisher.Tests.Harness;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// kill -9 at each boundary of the transitions, in all of them at once: before the commit; after it, before anything is
/// acknowledged or sent; after what it sends is queued, before that is known.
/// </summary>
public sealed class GenerationBoundaryTests(GenerationBoundaryStack stack) : IClassFixture<GenerationBoundaryStack>
{
    private const string Straight = "Rendering 1, Saving 1, Completed 1";
    private const string TakenOver = "Rendering 1, Rendering 2, Saving 2, Completed 2";
    private const string Again = "Rendering 1, Requested 2, Rendering 2, Saving 2, Completed 2";

    // By the model: where it is held, what it is to have gone through in the end, and how often its provider was asked.
    private static readonly Crossing[] Crossings =
    [
        new("asked", "Rendering", 1, Straight, 1),
        new("rendered", "Saving", 1, Straight, 1),
        new("failed", "Requested", 2, Again, 2),
        new("due", "Rendering", 2, Again, 2),
        new("settled", "Completed", 1, Straight, 1),
        new("moderated", "Rejected", 1, "Rendering 1, Rejected 1", 1),
        new("recorded", "succeeded", 1, Straight, 1), // The end of a rendering, before the saga hears of it.
    ];

    // What these transitions send, by exchange.
    private static readonly string[] Sent =
    [
        "generation-ended",
        "image-generated",
        "import-image",
        "render-image",
        "render-image",
        "render-succeeded",
    ];

    [Theory]
    [InlineData(Boundary.BeforeCommit)]
    [InlineData(Boundary.BeforeSending)]
    [InlineData(Boundary.AfterSending)]
    public async Task Worker_killed_at_any_boundary_loses_no_request_and_renders_none_twice(Boundary boundary)
    {
        var requests = Crossings.ToDictionary(
            x => x.Model,
            x => GenerationStack.Request(x.Model, $"{x.Model} {boundary}"),
            StringComparer.Ordinal
        );
        await stack.HoldAsync(Crossings.Select(x => (requests[x.Model].Prompt, x.State, x.Attempt)));
        await using var listener = await BoundaryListener.BeginAsync(stack.Broker);
        await using var network = new StallingProxy(stack.Broker);
        var earlier = Crossings.ToDictionary(
            x => x.Model,
            x => stack.Provider.CallsOf(x.Model).Length,
            StringComparer.Ordinal
        );
        stack.ScriptAnew();

        var victim = stack.StartWorker(
            "victim",
            ("ConnectionStrings__RabbitMq", network.Address.ToString()),
            ("ConnectionStrings__Postgres", $"{stack.Settings["ConnectionStrings__Postgres"]};Command Timeout=300")
        );
        await stack.AskAsync(requests.Values);
        await stack.UntilAsync("all are held", async () => await stack.WaitingAsync() == Crossings.Length);
        if (boundary != Boundary.BeforeCommit)
        {
            await stack.HoldRelayAsync();
            if (boundary == Boundary.BeforeSending)
                network.Stall(); // Nor is what the transitions have read acknowledged.
            await stack.LetGoAsync();
            foreach (var x in Crossings)
            {
                var prompt = requests[x.Model].Prompt;
                await stack.UntilAsync(
                    $"{prompt} is committed",
                    () => stack.HasCrossedAsync(prompt, x.State, x.Attempt)
                );
            }

            (await stack.OutboxAsync()).ShouldBe(Sent);
        }

        var heard = await listener.CountAsync();
        if (boundary == Boundary.AfterSending)
        {
            network.StallBroker();
            await stack.LetRelayGoAsync();
            await stack.UntilAsync("it is queued", async () => await listener.CountAsync() == heard + Sent.Length);
            (await stack.OutboxAsync()).ShouldBe(Sent); // It is taken out only when the broker has confirmed it.
        }

        await victim.KillAsync();
        network.Cut();
        if (boundary == Boundary.BeforeCommit)
            await stack.LetGoAsync();
        if (boundary == Boundary.BeforeSending)
            await stack.LetRelayGoAsync();
        var successor = stack.StartWorker("successor");
        await stack.UntilEndedAsync(requests.Values);
        await stack.UntilAsync("nothing is on its way", async () => await stack.PendingAsync() == 0);
        await successor.StopAsync(); // It ends what it has at hand.

        foreach (var x in Crossings)
        {
            var request = requests[x.Model];
            // Its picture came and was not written down: that one call was in flight. It is rendered again, under the
            // next attempt.
            var isLost = x.Model == "recorded" && boundary == Boundary.BeforeCommit;
            var history = await stack.HistoryOfAsync(request.Prompt);
            history.ShouldBe(isLost ? TakenOver : x.History, x.Model);
            var calls = stack.Provider.CallsOf(x.Model).Length - earlier[x.Model];
            calls.ShouldBe(isLost ? 2 : x.Calls, x.Model);
            (await stack.PicturesAsync(request)).ShouldBe(x.Model == "moderated" ? 0 : 1, x.Model);
        }

        // A message may come twice, under the same id: each request has one end.
        var ends = await listener.EndsAsync();
        ends.Select(x => x.MessageId).Distinct(StringComparer.Ordinal).Count().ShouldBe(Crossings.Length);
        ends.Select(x => x.CommandId).Distinct().ShouldBe(requests.Values.Select(x => x.CommandId), ignoreOrder: true);
        (await stack.DeadLettersAsync()).ShouldBeEmpty();
    }

    /// <param name="Model">And its provider's script.</param>
    /// <param name="State">The state, or the attempt's outcome, whose transaction is held.</param>
    /// <param name="Attempt">The saga's then.</param>
    /// <param name="History">Of the saga, in the end.</param>
    /// <param name="Calls">Of the provider.</param>
    private sealed record Crossing(string Model, string State, int Attempt, string History, int Calls);
}

/// <summary>Where the worker dies.</summary>
public enum Boundary
{
    BeforeCommit,
    BeforeSending,
    AfterSending,
}
