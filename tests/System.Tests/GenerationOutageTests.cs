using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using static Pipeline.SystemTests.Harness.ScriptedProvider;

namespace Pipeline.SystemTests;

/// <summary>Servers that are away while images are rendered: each image is paid for once.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class GenerationOutageTests : GenerationStack
{
    private const string Model = "slow";
    private const int Renders = 8;
    private const string Judge = "judge of an outage";

    private readonly ScratchBucket _bucket = new();
    private readonly List<TaskCompletionSource> _called = [];
    private readonly TaskCompletionSource _during = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _after = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private S3Proxy _store = null!;

    // A lease of 3 s for one of 60 s, as an outage of 3 s for one of 60 s.
    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            .. Provider.SettingsOf(Model),
            ("Storage__ServiceUrl", _store.Url),
            ("Storage__Bucket", _bucket.Name),
            ("Storage__RequestRetries", "0"),
            ("Rendering__LeaseLength", "00:00:03"),
            ("Rendering__ConcurrentRenders", $"{Renders}"),
            ("Rendering__GatePause", "00:00:02"),
            ("Generation__StaleAfter", "00:30:00"),
        ];

    public override async Task InitializeAsync()
    {
        _store = await S3Proxy.StartAsync(_bucket.Client);
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _store.DisposeAsync();
        await _bucket.DisposeAsync();
    }

    [Fact]
    public async Task Database_that_is_away_for_longer_than_a_lease_costs_no_second_call()
    {
        HostWorker("renderer");
        HostWorker("sweeper");
        var requests = await RenderAsync();
        await using var judge = await JudgeAsync();

        await TakeDatabaseAwayAsync(judge);
        _during.SetResult(); // Half of the images come while nothing can be recorded.
        // Far longer ago than a lease lasts: any sweep that believed it would give all of them up.
        await UntilAsync("every lease has lapsed", () => AllLapsedAsync(judge));
        await ExecuteAsync(judge, $"alter database {judge.Database} connection limit -1");
        await UntilAsync("those that still render have their leases again", () => AnyAliveAsync(judge));
        _after.SetResult();

        await UntilEndedAsync(requests);
        foreach (var request in requests)
        {
            (await OutcomeAsync(request)).ShouldBe("applied");
            (await this.AttemptsOfAsync(request.Prompt)).ShouldBe("1 succeeded");
            Provider.CallsOf(request.Prompt).Length.ShouldBe(1);
        }

        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Store_that_is_away_after_the_answers_costs_no_second_call_and_no_other_image_is_begun()
    {
        HostWorker("worker");
        var requests = await RenderAsync();
        var refused = 0;
        _store.Fate = call =>
        {
            if (call.Kind != "put")
                return Task.FromResult(S3Fate.Pass);
            Interlocked.Increment(ref refused);
            return Task.FromResult(S3Fate.Break);
        };
        _during.SetResult();
        await UntilAsync("one of them waits", () => Task.FromResult(Volatile.Read(ref refused) > 0));
        await UntilAsync(
            "the gate is closed",
            async () =>
                await ScalarAsync<long>("select count(*) from pipeline.provider_gates where provider = '(store)'") == 1
        );

        // A second worker has its slots free: it would pay for an image that it could not keep.
        HostWorker("another");
        var late = Request(Model, "late");
        Provider.Script(late.Prompt, Picture());
        await AskAsync(late);
        await UntilAsync(
            "it waits for the store",
            async () =>
                (await this.HistoryOfAsync(late.Prompt)).StartsWith(
                    "Rendering 1, Requested 1",
                    StringComparison.Ordinal
                )
        );
        // The SDK does not try again by itself here: each is a try of the worker that holds the image.
        await UntilAsync("all have tried again", () => Task.FromResult(Volatile.Read(ref refused) >= 3 * Renders));
        Provider.CallsOf(late.Prompt).ShouldBeEmpty();

        _store.Fate = _ => Task.FromResult(S3Fate.Pass);
        _after.SetResult();
        await UntilEndedAsync([.. requests, late]);
        foreach (var request in requests.Append(late))
        {
            (await OutcomeAsync(request)).ShouldBe("applied");
            Provider.CallsOf(request.Prompt).Length.ShouldBe(1);
        }

        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    /// <summary>As many renders as a worker has slots: half are answered during the outage, half after it.</summary>
    private async Task<GenerateImage[]> RenderAsync()
    {
        var requests = Enumerable.Range(0, Renders).Select(x => Request(Model, $"image {x}")).ToArray();
        foreach (var (request, number) in requests.Select((x, i) => (x, i)))
        {
            var called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _called.Add(called);
            Provider.Script(
                request.Prompt,
                Held(called, number % 2 == 0 ? _during.Task : _after.Task, Picture(width: number + 1))
            );
        }

        await AskAsync(requests);
        await Task.WhenAll(_called.Select(x => x.Task)).WaitAsync(TimeSpan.FromMinutes(2));
        return requests;
    }

    /// <summary>A session that is there before the outage, and stays.</summary>
    private async Task<NpgsqlConnection> JudgeAsync()
    {
        var own = new NpgsqlConnectionStringBuilder(Settings["ConnectionStrings__Postgres"])
        {
            ApplicationName = Judge,
            Pooling = false,
        };
        var judge = new NpgsqlConnection(own.ConnectionString);
        await judge.OpenAsync();
        return judge;
    }

    private async Task TakeDatabaseAwayAsync(NpgsqlConnection judge)
    {
        await ExecuteAsync(judge, $"alter database {judge.Database} connection limit 0");
        await ExecuteAsync(
            judge,
            $"""
            select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name <> '{Judge}'
            """
        );
        Database.Clear(); // The test's own sessions have ended with the others.
    }

    private static Task<bool> AllLapsedAsync(NpgsqlConnection judge) =>
        AskAsync(judge, "select bool_and(lease_until < now() - interval '3 s') from pipeline.generation_leases");

    private static Task<bool> AnyAliveAsync(NpgsqlConnection judge) =>
        AskAsync(
            judge,
            $"""
            select count(*) filter (where lease_until > now()) = {Renders / 2} from pipeline.generation_leases
            """
        );

    private static async Task<bool> AskAsync(NpgsqlConnection judge, string sql)
    {
        await using var command = new NpgsqlCommand(sql, judge);
        return await command.ExecuteScalarAsync() is true;
    }

    private static async Task ExecuteAsync(NpgsqlConnection judge, string sql)
    {
        await using var command = new NpgsqlCommand(sql, judge);
        await command.ExecuteNonQueryAsync();
    }
}
