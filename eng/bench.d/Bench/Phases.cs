using System.Diagnostics;

namespace Pipeline.Bench;

/// <summary>The parts of a measurement, on one site. Each has commands of its own, and checks what became of them.</summary>
internal sealed class Phases(BenchPlan plan, BenchSettings settings, BenchSite site)
{
    // Acknowledgements and their log entries follow the last commit; they belong to the drain's cost.
    private static readonly TimeSpan Settling = TimeSpan.FromMilliseconds(500);

    /// <summary>Of all commands so far.</summary>
    public Checks Checks { get; private set; } = new(Receipts: 0, Lost: 0, Duplicates: 0, Inversions: 0);

    public static void Say(string text) => Console.Error.WriteLine($"bench: {text}");

    /// <summary>Fills the queue while nobody consumes, then starts the processes and waits until it is empty.</summary>
    public async Task StartColdAsync(IContender contender, Measured measured, CancellationToken cancellation)
    {
        await contender.PrepareAsync(cancellation);
        var work = new Workload(plan, "cold", plan.Commands);
        await contender.DefineAsync(work, site.Publisher, cancellation);
        measured.Enqueue = await EnqueueAsync(contender, work, cancellation);

        var started = DateTime.UtcNow;
        await contender.StartAsync(cancellation);
        await FinishAsync(contender, work, cancellation);
        measured.ColdSeconds = (await contender.LastCommitAsync(work, cancellation) - started).TotalSeconds;
        Say($"{contender.Name}: enqueue {measured.Enqueue:F0}/s, cold start to empty {measured.ColdSeconds:F1} s");
        await contender.BalancedAsync(cancellation);
        await CheckAsync(contender, work, cancellation);
    }

    /// <summary>From a full queue: row locks keep the running processes idle until everything is queued.</summary>
    public async Task DrainAsync(IContender contender, Measured measured, int round, CancellationToken cancellation)
    {
        var work = new Workload(plan, $"drain {round}", plan.Commands);
        await contender.DefineAsync(work, site.Publisher, cancellation);
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

    /// <summary>Publishing and applying at the same time.</summary>
    public async Task BothAsync(IContender contender, Measured measured, int round, CancellationToken cancellation)
    {
        var work = new Workload(plan, $"both {round}", plan.Commands);
        await DefineAndWaitAsync(contender, work, cancellation);

        var started = DateTime.UtcNow;
        await EnqueueAsync(contender, work, cancellation);
        await FinishAsync(contender, work, cancellation);
        var seconds = (await contender.LastCommitAsync(work, cancellation) - started).TotalSeconds;
        measured.Both.Add(plan.Commands / seconds);
        Say($"{contender.Name}: both at once {measured.Both[^1]:F0}/s");
        await CheckAsync(contender, work, cancellation);
    }

    /// <summary>From publishing to the commit at a fixed rate, one contender after the other; then ends both.</summary>
    public async Task MeasureLatencyAsync(Turn turn, CancellationToken cancellation)
    {
        var (work, sent) = await PublishSteadilyAsync(turn.Pipeline, cancellation);
        turn.Pair.Ours.Latency = Latencies(work, sent, await turn.Pipeline.CommitsAsync(work, cancellation));
        (work, sent) = await PublishSteadilyAsync(turn.Floor, cancellation);
        await Task.WhenAll(turn.Floor.StopAsync(), turn.Pipeline.StopAsync());
        turn.Pair.Floor.Latency = Latencies(work, sent, turn.Floor.ReadCommits());
    }

    private async Task<(Workload Work, DateTime[] Sent)> PublishSteadilyAsync(
        IContender contender,
        CancellationToken cancellation
    )
    {
        var work = new Workload(plan, "latency", plan.LatencyCommands);
        await DefineAndWaitAsync(contender, work, cancellation);

        var sent = new DateTime[work.Commands.Length];
        var confirms = new List<Task>(sent.Length);
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < sent.Length; i++)
        {
            var due = TimeSpan.FromSeconds((double)i / plan.Rate) - clock.Elapsed;
            if (due > TimeSpan.Zero)
                await Task.Delay(due, cancellation);
            sent[i] = DateTime.UtcNow;
            confirms.Add(await site.Publisher.SendAsync(contender.Message(work, i), cancellation));
        }

        await Task.WhenAll(confirms);
        await FinishAsync(contender, work, cancellation);
        Say($"{contender.Name}: {sent.Length} at {sent.Length / (sent[^1] - sent[0]).TotalSeconds:F0}/s");
        await CheckAsync(contender, work, cancellation);
        return (work, sent);
    }

    private async Task DefineAndWaitAsync(IContender contender, Workload work, CancellationToken cancellation)
    {
        await contender.DefineAsync(work, site.Publisher, cancellation);
        await using var hold = await contender.HoldAsync(work, cancellation);
        await hold.ReleaseAsync();
    }

    private static double[] Latencies(Workload work, DateTime[] sent, Dictionary<Guid, DateTime> commits) =>
        [.. work.Commands.Select((x, i) => (commits[x.CommandId] - sent[i]).TotalMilliseconds).Order()];

    private async Task<double> EnqueueAsync(IContender contender, Workload work, CancellationToken cancellation)
    {
        var messages = Enumerable.Range(0, work.Commands.Length).Select(x => contender.Message(work, x)).ToArray();
        var clock = Stopwatch.StartNew();
        await site.Publisher.PublishAllAsync(messages, cancellation);
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
            Checks += await Checks.OfAsync(site.Source, work.Projects, work.Commands, cancellation);
    }
}
