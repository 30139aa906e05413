using Pipeline.Contracts.Generation;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using static Pipeline.SystemTests.Harness.ScriptedProvider;

namespace Pipeline.SystemTests;

/// <summary>The seed's sequence: a worker is gone in the middle of a rendering, and the same picture is asked for again.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class GenerationTakeoverTests : GenerationStack
{
    private const string Model = "slow";
    private const string Prompt = "A red kite over a harbour";

    private readonly TaskCompletionSource _called = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            .. Provider.SettingsOf(Model),
            ("Rendering__LeaseLength", "00:00:04"),
            // Long enough that nothing here is found for its age, unless a test makes it short.
            ("Generation__StaleAfter", "00:30:00"),
        ];

    [Theory]
    [InlineData(1)]
    [InlineData(3)] // The whole fleet, and another one after it.
    public async Task Request_whose_worker_is_killed_is_joined_then_taken_over_then_answered_from_the_store(int workers)
    {
        Provider.Script(Model, Held(_called, _released.Task, Picture(width: 1)), Picture(width: 2));
        var victims = Start("victim", workers, ("Rendering__LeaseLength", "00:05:00"));
        var first = Request(Model, Prompt);
        await AskAsync(first);
        await _called.Task.WaitAsync(TimeSpan.FromMinutes(2));
        await Task.WhenAll(victims.Select(x => x.KillAsync()));

        // Asked again while the lease lasts: it joins the pending one, and nothing else happens.
        var successors = Start("successor", workers);
        var joined = Another(first);
        await AskAsync(joined);
        await UntilAsync(
            "it is joined",
            async () => await ScalarAsync<long>("select count(*) from status.generation_targets") == 2
        );
        (await ScalarAsync<bool>("select lease_until > now() from status.generations")).ShouldBeTrue();
        (await this.HistoryOfAsync(Prompt)).ShouldBe("Rendering 1");

        // The victim's message was delivered again, and let go because of the lease. Now that ends.
        await UntilAsync(
            "it is let go",
            () => Task.FromResult(successors.Any(x => x.Log.Contains("is not begun", StringComparison.Ordinal)))
        );
        await ExecuteAsync("update pipeline.generation_leases set lease_until = now(), lease_length = '4 s'");
        await UntilEndedAsync(first, joined);
        (await this.HistoryOfAsync(Prompt)).ShouldBe("Rendering 1, Rendering 2, Saving 2, Completed 2");
        (await this.AttemptsOfAsync(Prompt)).ShouldBe("1 lost, 2 succeeded");
        (await ScalarAsync<long>("select count(*) from status.generations")).ShouldBe(1);
        Provider.CallsOf(Model).Length.ShouldBe(2);

        // Asked again afterwards: from the store.
        var later = Another(first);
        await AskAsync(later);
        await UntilEndedAsync(first, joined, later);
        Provider.CallsOf(Model).Length.ShouldBe(2);

        // Answers of the first attempt that were on their way all the time.
        var picture = await ScalarAsync<string>("select object_key from status.generations");
        await SendLateAsync(await ScalarAsync<Guid>("select id from status.generations"));
        await Task.WhenAll(successors.Select(x => x.StopAsync())); // They end what they have at hand.
        (await ScalarAsync<string>("select object_key from status.generations")).ShouldBe(picture);
        (await this.AttemptsOfAsync(Prompt)).ShouldBe("1 lost, 2 succeeded");
        (await this.HistoryOfAsync(Prompt)).ShouldBe(
            "Rendering 1, Rendering 2, Saving 2, Completed 2, Saving 2, Completed 2"
        );
        (await WidthsAsync()).ShouldBe([2, 2, 2]);
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Picture_of_a_worker_that_was_asleep_comes_too_late_and_is_discarded()
    {
        Provider.Script(Model, Held(_called, _released.Task, Picture(width: 1)), Picture(width: 2));
        var sleeper = StartWorker("sleeper");
        var first = Request(Model, Prompt);
        await AskAsync(first);
        await _called.Task.WaitAsync(TimeSpan.FromMinutes(2));

        sleeper.Pause();
        _released.SetResult(); // The answer lies in the sleeper's socket.
        HostWorker("successor");
        await UntilEndedAsync(first);
        sleeper.Resume();
        await sleeper.StopAsync(); // It ends what it has at hand.

        (await this.HistoryOfAsync(Prompt)).ShouldBe("Rendering 1, Rendering 2, Saving 2, Completed 2");
        (await this.AttemptsOfAsync(Prompt)).ShouldBe("1 lost, 2 succeeded");
        (await WidthsAsync()).ShouldBe([2]);
        (await ScalarAsync<long>("select count(*) from status.catalog where key like 'generated/%'")).ShouldBe(1);
        Provider.CallsOf(Model).Length.ShouldBe(2);
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    private WorkerProcess[] Start(string name, int count, params (string, string)[] settings) =>
        [.. Enumerable.Range(1, count).Select(x => StartWorker($"{name}-{x}", settings))];

    /// <summary>What the first attempt's worker would have said, each thing once, and waits until it is heard.</summary>
    private async Task SendLateAsync(Guid generation)
    {
        await using (var publisher = NewPublisher())
        {
            await publisher.PublishAllAsync(
                [
                    Late(new RenderSucceeded(generation, 1, $"generated/{generation}/{new string('a', 64)}.png")),
                    Late(new RenderFailed(generation, 1, RenderFailureKinds.Moderation, "late", null)),
                    Late(new RenderPostponed(generation, 1, DateTimeOffset.UtcNow, "late")),
                    Late(new RenderLeaseExpired(generation, 1)),
                ],
                CancellationToken.None
            );
        }

        await UntilAsync("they are heard", async () => await this.PendingAsync() == 0);
    }

    private static WireMessage Late<T>(T message) =>
        new(WireNames.ExchangeOf<T>(), RoutingKey: "", Guid.NewGuid(), WireJson.Write(message), Mandatory: true);
}
