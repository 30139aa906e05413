using System.Diagnostics;
using Npgsql;
using Pipeline.Bench.Floor;
using Pipeline.Wire;

namespace Pipeline.Bench;

/// <summary>One run: both contenders on the same servers, phase by phase, in turn.</summary>
internal sealed class BenchRun(
    BenchPlan plan,
    BenchSettings settings,
    NpgsqlDataSource source,
    ConfirmedPublisher publisher
)
{
    // The tables of the database are dropped; so it must be the one that eng/services made for this.
    private const string OwnCluster = "pipeline-bench";

    // Acknowledgements and their log entries follow the last commit; they belong to the drain's cost.
    private static readonly TimeSpan Settling = TimeSpan.FromMilliseconds(500);

    private Checks _checks = new(Receipts: 0, Lost: 0, Duplicates: 0, Inversions: 0);

    public static async Task<int> RunAsync(BenchPlan plan, BenchSettings settings, CancellationToken cancellation)
    {
        await using var source = NpgsqlDataSource.Create(settings.Database);
        await RequireOwnDatabaseAsync(source, cancellation);
        await using var publisher = new ConfirmedPublisher(settings.Broker, "bench");
        await using var pipeline = new PipelineContender(settings, source);
        await using var floor = new FloorContender(settings, source);
        var run = new BenchRun(plan, settings, source, publisher);
        Say($"seed {plan.Seed}");
        var (ours, theirs) = await run.MeasureAsync(pipeline, floor, cancellation);
        await BenchReport.WriteAsync(Console.Out, plan, ours, theirs, run._checks);
        return run._checks is { Lost: 0, Duplicates: 0, Inversions: 0 } ? 0 : 1;
    }

    private async Task<(Measured Ours, Measured Floor)> MeasureAsync(
        PipelineContender pipeline,
        FloorContender floor,
        CancellationToken cancellation
    )
    {
        var (ours, theirs) = (new Measured(), new Measured());
        (IContender Contender, Measured Measured)[] turn = [(floor, theirs), (pipeline, ours)];
        foreach (var (contender, measured) in turn)
            await StartColdAsync(contender, measured, cancellation);

        for (var round = 1; round <= plan.Rounds; round++)
        {
            Array.Reverse(turn); // Whoever comes first meets another state of caches, checkpoints and neighbours.
            foreach (var (contender, measured) in turn)
                await DrainAsync(contender, measured, round, cancellation);
            foreach (var (contender, measured) in turn)
                await BothAsync(contender, measured, round, cancellation);
        }

        var (work, sent) = await PublishSteadilyAsync(pipeline, cancellation);
        ours.Latency = Latencies(work, sent, await pipeline.CommitsAsync(work, cancellation));
        (work, sent) = await PublishSteadilyAsync(floor, cancellation);
        await Task.WhenAll(floor.StopAsync(), pipeline.StopAsync());
        theirs.Latency = Latencies(work, sent, floor.ReadCommits());
        return (ours, theirs);
    }

    /// <summary>Fills the queue while nobody consumes, then starts the processes and waits until it is empty.</summary>
    private async Task StartColdAsync(IContender contender, Measured measured, CancellationToken cancellation)
    {
        await contender.ResetAsync(cancellation);
        var work = new Workload(plan, "cold", plan.Commands);
        await contender.DefineAsync(work, publisher, cancellation);
        measured.Enqueue = await EnqueueAsync(contender, work, cancellation);

        var started = DateTime.UtcNow;
        await contender.StartAsync(cancellation);
        await FinishAsync(contender, work, cancellation);
        measured.ColdSeconds = (await contender.LastCommitAsync(work, cancellation) - started).TotalSeconds;
        Say($"{contender.Name}: enqueue {measured.Enqueue:F0}/s, cold start to empty {measured.ColdSeconds:F1} s");
        await contender.BalancedAsync(cancellation);
    }

    /// <summary>From a full queue: row locks keep the running processes idle until everything is queued.</summary>
    private async Task DrainAsync(IContender contender, Measured measured, int round, CancellationToken cancellation)
    {
        var work = new Workload(plan, $"drain {round}", plan.Commands);
        await contender.DefineAsync(work, publisher, cancellation);
        await using var hold = await contender.HoldAsync(work, cancellation);
        await EnqueueAsync(contender, work, cancellation);
        await contender.BalancedAsync(cancellation);

        var before = CpuTime.Read(contender.Pids, settings);
        var released = await hold.ReleaseAsync();
        await FinishAsync(contender, work, cancellation);
        var seconds = (await contender.LastCommitAsync(work, cancellation) - released).TotalSeconds;
        await Task.Delay(Settling, cancellation);
        measured.Cpu.Add((CpuTime.Read(contender.Pids, settings) - before) / plan.Commands);
        measured.Drain.Add(plan.Commands / seconds);
        Say($"{contender.Name}: drain {measured.Drain[^1]:F0}/s");
        await CheckAsync(contender, work, cancellation);
    }

    private async Task BothAsync(IContender contender, Measured measured, int round, CancellationToken cancellation)
    {
        var work = new Workload(plan, $"both {round}", plan.Commands);
        await contender.DefineAsync(work, publisher, cancellation);
        await using (var hold = await contender.HoldAsync(work, cancellation))
            await hold.ReleaseAsync(); // Only to wait for the definitions.

        var started = DateTime.UtcNow;
        await EnqueueAsync(contender, work, cancellation);
        await FinishAsync(contender, work, cancellation);
        var seconds = (await contender.LastCommitAsync(work, cancellation) - started).TotalSeconds;
        measured.Both.Add(plan.Commands / seconds);
        Say($"{contender.Name}: both at once {measured.Both[^1]:F0}/s");
        await CheckAsync(contender, work, cancellation);
    }

    private async Task<(Workload Work, DateTime[] Sent)> PublishSteadilyAsync(
        IContender contender,
        CancellationToken cancellation
    )
    {
        var work = new Workload(plan, "latency", plan.Rate * plan.LatencySeconds);
        await contender.DefineAsync(work, publisher, cancellation);
        await using (var hold = await contender.HoldAsync(work, cancellation))
            await hold.ReleaseAsync();

        var sent = new DateTime[work.Commands.Length];
        var confirms = new List<Task>(sent.Length);
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < sent.Length; i++)
        {
            var due = TimeSpan.FromSeconds((double)i / plan.Rate) - clock.Elapsed;
            if (due > TimeSpan.Zero)
                await Task.Delay(due, cancellation);
            sent[i] = DateTime.UtcNow;
            confirms.Add(await publisher.SendAsync(contender.Message(work, i), cancellation));
        }

        await Task.WhenAll(confirms);
        await FinishAsync(contender, work, cancellation);
        Say($"{contender.Name}: {sent.Length} at {sent.Length / (sent[^1] - sent[0]).TotalSeconds:F0}/s");
        await CheckAsync(contender, work, cancellation);
        return (work, sent);
    }

    private static double[] Latencies(Workload work, DateTime[] sent, Dictionary<Guid, DateTime> commits) =>
        [.. work.Commands.Select((x, i) => (commits[x.CommandId] - sent[i]).TotalMilliseconds).Order()];

    private async Task<double> EnqueueAsync(IContender contender, Workload work, CancellationToken cancellation)
    {
        var messages = Enumerable.Range(0, work.Commands.Length).Select(x => contender.Message(work, x)).ToArray();
        var clock = Stopwatch.StartNew();
        await publisher.PublishAllAsync(messages, cancellation);
        return messages.Length / clock.Elapsed.TotalSeconds;
    }

    private static Task FinishAsync(IContender contender, Workload work, CancellationToken cancellation) =>
        Until.TrueAsync(
            async () => await contender.CountAsync(work, cancellation) >= work.Commands.Length,
            cancellation
        );

    private async Task CheckAsync(IContender contender, Workload work, CancellationToken cancellation)
    {
        if (contender is PipelineContender)
            _checks += await Checks.OfAsync(source, work, cancellation);
    }

    private static async Task RequireOwnDatabaseAsync(NpgsqlDataSource source, CancellationToken cancellation)
    {
        if (await ShowAsync("cluster_name") != OwnCluster)
            throw new InvalidOperationException("This is not the database of the set that eng/services calls bench.");
        if (await ShowAsync("track_commit_timestamp") != "on")
            throw new InvalidOperationException("track_commit_timestamp is off: eng/bench turns it on.");

        async Task<string?> ShowAsync(string setting)
        {
            await using var show = source.CreateCommand($"select current_setting('{setting}')");
            return (string?)await show.ExecuteScalarAsync(cancellation);
        }
    }

    private static void Say(string text) => Console.Error.WriteLine($"bench: {text}");
}
