using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using Xunit.Abstractions;
using static Pipeline.SystemTests.Harness.ScriptedProvider;

namespace Pipeline.SystemTests;

/// <summary>
/// A real web server in the provider's place that fails in every way: the calls it sees are the policy's, and no
/// sooner than the policy says.
/// </summary>
public sealed class GenerationPolicyTests(ITestOutputHelper output) : GenerationStack
{
    private const int AttemptLimit = 3;
    private const string Straight = "Rendering 1, Saving 1, Completed 1";
    private const string Again = "Rendering 1, Requested 2, Rendering 2, Saving 2, Completed 2";
    private const string Waited = "Rendering 1, Requested 1, Rendering 1, Saving 1, Completed 1";

    private static readonly Case[] Cases =
    [
        new("429-date", [BusyUntilADate, Picture()], 2, Waited, "1 succeeded") { Pause = TimeSpan.FromSeconds(2) },
        new("429-seconds", [Error(429, "slow_down", "Retry-After", "2"), Picture()], 2, Waited, "1 succeeded")
        {
            Pause = TimeSpan.FromSeconds(2),
        },
        new(
            "429-milliseconds",
            [Error(429, "rate_limit_exceeded", "retry-after-ms", "1500"), Picture()],
            2,
            Waited,
            "1 succeeded"
        )
        {
            Pause = TimeSpan.FromMilliseconds(1500),
        },
        // More often than there are attempts: none is spent.
        new(
            "429-again-and-again",
            [.. Enumerable.Repeat(Error(429, null, "Retry-After", "1"), AttemptLimit + 1), Picture()],
            AttemptLimit + 2,
            $"{string.Concat(Enumerable.Repeat("Rendering 1, Requested 1, ", AttemptLimit + 1))}{Straight}",
            "1 succeeded"
        )
        {
            Pause = TimeSpan.FromSeconds(1),
        },
        new("500", [Error(500), Picture()], 2, Again, "1 transient, 2 succeeded"),
        new("503-seconds", [Error(503, null, "Retry-After", "2"), Picture()], 2, Again, "1 transient, 2 succeeded")
        {
            Pause = TimeSpan.FromSeconds(2),
        },
        new("time-out", [Silence, Picture()], 2, Again, "1 transient, 2 succeeded"),
        new("reset", [Reset, Picture()], 2, Again, "1 transient, 2 succeeded"),
        new("truncated", [HalfAPicture, Picture()], 2, Again, "1 transient, 2 succeeded"),
        new("url-expired", [Url(expired: true), Url(expired: false)], 2, Again, "1 transient, 2 succeeded"),
        new("moderation", [Error(400, "moderation_blocked")], 1, "Rendering 1, Rejected 1", "1 moderation", "rejected"),
        new("quota", [Error(429, "insufficient_quota")], 1, "Rendering 1, Abandoned 1", "1 refused", "failed"),
        new("bad-request", [Error(400, "invalid_size")], 1, "Rendering 1, Rejected 1", "1 permanent", "rejected"),
        new(
            "500-for-ever",
            [Error(500)],
            AttemptLimit,
            "Rendering 1, Requested 2, Rendering 2, Requested 3, Rendering 3, Abandoned 3",
            "1 transient, 2 transient, 3 transient",
            "failed"
        ),
    ];

    // A slot for each, so that none waits for another's time-out.
    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            .. Cases.Select(x => x.Model).Append("deadline").SelectMany(Provider.SettingsOf),
            ("Models__time-out__AttemptTimeout", "00:00:05"),
            ("Rendering__ConcurrentRenders", "24"),
            ("Rendering__OutageThreshold", "1000"),
            ("Generation__AttemptLimit", $"{AttemptLimit}"),
            ("Generation__BackoffFirst", "00:00:00.100"),
            ("Generation__BackoffLimit", "00:00:00.200"),
            ("Generation__SweepEvery", "00:00:00.100"),
        ];

    [Fact]
    public async Task Calls_are_exactly_the_policys_and_no_sooner_than_it_says()
    {
        foreach (var x in Cases)
            Provider.Script(x.Model, x.Steps);
        Provider.Script("deadline", Error(429, null, "Retry-After", "3600"));
        var requests = Cases.Select(x => Request(x.Model, x.Model)).ToDictionary(x => x.Model, StringComparer.Ordinal);
        var late = Request("deadline", "deadline") with { Deadline = DateTimeOffset.UtcNow.AddHours(1) };
        HostWorker("worker");
        await AskAsync([.. requests.Values, late]);

        // The gate stays closed for an hour; the deadline comes before that.
        await UntilAsync("it waits", async () => await this.HistoryOfAsync("deadline") == "Rendering 1, Requested 1");
        await ExecuteAsync("update pipeline.generation_requests set deadline_at = now() where prompt = 'deadline'");
        await UntilEndedAsync([.. requests.Values, late]);

        foreach (var x in Cases)
        {
            var calls = Provider.CallsOf(x.Model);
            output.WriteLine($"{x.Model}: {string.Join(' ', calls.Select(c => (c - calls[0]).TotalSeconds))}");
            calls.Length.ShouldBe(x.Calls, x.Model);
            foreach (var (before, after) in calls.Zip(calls.Skip(1)))
                (after - before).ShouldBeGreaterThanOrEqualTo(x.Pause, x.Model);
            (await this.HistoryOfAsync(x.Model)).ShouldBe(x.History, x.Model);
            (await this.AttemptsOfAsync(x.Model)).ShouldBe(x.Attempts, x.Model);
            (await OutcomeAsync(requests[x.Model])).ShouldBe(x.Outcome, x.Model);
        }

        Provider.CallsOf("deadline").Length.ShouldBe(1);
        (await this.HistoryOfAsync("deadline")).ShouldBe("Rendering 1, Requested 1, Abandoned 1");
        (await OutcomeAsync(late)).ShouldBe("failed");
        // Every completed one has its picture, and no other has one.
        var shown = await RowsAsync("select id from status.images where state = 'shown'", x => x.GetGuid(0));
        var wanted = Cases.Where(x => x.Outcome == "applied").Select(x => requests[x.Model].ImageId);
        shown.ShouldBe(wanted, ignoreOrder: true);
        (await ScalarAsync<long>("select count(*) from status.catalog where key like 'generated/%'")).ShouldBe(
            shown.Count
        );
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    // The date has no fractions of a second: it is up to one less than three away.
    private static ProviderStep BusyUntilADate =>
        call => Error(429, null, "Retry-After", DateTimeOffset.UtcNow.AddSeconds(3).ToString("R"))(call);

    /// <summary>What the provider answers, and what must come of it.</summary>
    private sealed record Case(
        string Model,
        ProviderStep[] Steps,
        int Calls,
        string History,
        string Attempts,
        string Outcome = "applied"
    )
    {
        /// <summary>Least time between two calls.</summary>
        public TimeSpan Pause { get; init; }
    }
}
