using Npgsql;
using Pipeline.Bench.Floor;

namespace Pipeline.Bench;

/// <summary>One run: each shape on a site of its own, both contenders in turn.</summary>
internal sealed class BenchRun(BenchPlan plan, BenchSettings settings)
{
    // Databases and virtual hosts are dropped; so the servers must be those that eng/services made for this.
    private const string OwnCluster = "pipeline-bench";

    private Checks _checks = new(Receipts: 0, Lost: 0, Duplicates: 0, Inversions: 0);

    public static async Task<int> RunAsync(BenchPlan plan, BenchSettings settings, CancellationToken cancellation)
    {
        await RequireOwnServersAsync(settings, cancellation);
        var run = new BenchRun(plan, settings);
        Phases.Say($"seed {plan.Seed}");
        var main = await run.MeasureAsync(Shape.Main, MeasureAllAsync, cancellation);
        var others = new List<Pair>();
        foreach (var shape in Shape.Others)
            others.Add(await run.MeasureAsync(shape, MeasureDrainAsync, cancellation));
        await BenchReport.WriteAsync(Console.Out, plan, main, others, run._checks);
        return run._checks is { Lost: 0, Duplicates: 0, Inversions: 0 } ? 0 : 1;
    }

    private async Task<Pair> MeasureAsync(
        Shape shape,
        Func<Phases, BenchPlan, Turn, CancellationToken, Task> measure,
        CancellationToken cancellation
    )
    {
        Phases.Say($"{shape.Name}: lanes {shape.Lanes}, processes {shape.Processes}");
        await using var site = await BenchSite.CreateAsync(settings, cancellation);
        await using var pipeline = new PipelineContender(settings, site, shape, plan.Receipts);
        await using var floor = new FloorContender(settings, site, shape);
        var phases = new Phases(plan, settings, site);
        var pair = new Pair(shape);
        await measure(phases, plan, new Turn(pipeline, floor, pair), cancellation);
        _checks += phases.Checks;
        return pair;
    }

    private static async Task MeasureAllAsync(Phases phases, BenchPlan plan, Turn turn, CancellationToken cancellation)
    {
        foreach (var (contender, measured) in turn.Next())
            await phases.StartColdAsync(contender, measured, cancellation);
        for (var round = 1; round <= plan.Rounds; round++)
        {
            // Whoever comes first meets another state of caches, checkpoints and neighbours.
            var order = turn.Next();
            foreach (var (contender, measured) in order)
                await phases.DrainAsync(contender, measured, round, cancellation);
            foreach (var (contender, measured) in order)
                await phases.BothAsync(contender, measured, round, cancellation);
        }

        await phases.MeasureLatencyAsync(turn, cancellation);
    }

    private static async Task MeasureDrainAsync(
        Phases phases,
        BenchPlan plan,
        Turn turn,
        CancellationToken cancellation
    )
    {
        foreach (var (contender, measured) in turn.Next())
            await phases.StartColdAsync(contender, measured, cancellation); // Compiles what the drains run.
        for (var round = 1; round <= plan.Rounds; round++)
        {
            foreach (var (contender, measured) in turn.Next())
                await phases.DrainAsync(contender, measured, round, cancellation);
        }
    }

    private static async Task RequireOwnServersAsync(BenchSettings settings, CancellationToken cancellation)
    {
        await using var source = NpgsqlDataSource.Create(settings.Database);
        if (await ShowAsync("cluster_name") != OwnCluster)
            throw new InvalidOperationException("These are not the servers of the set that eng/services calls bench.");
        if (await ShowAsync("track_commit_timestamp") != "on")
            throw new InvalidOperationException("track_commit_timestamp is off: eng/bench turns it on.");

        async Task<string?> ShowAsync(string setting)
        {
            await using var show = source.CreateCommand($"select current_setting('{setting}')");
            return (string?)await show.ExecuteScalarAsync(cancellation);
        }
    }
}

/// <summary>The two contenders of a shape, who swap who begins.</summary>
internal sealed class Turn(PipelineContender pipeline, FloorContender floor, Pair pair)
{
    private (IContender Contender, Measured Measured)[] _order = [(pipeline, pair.Ours), (floor, pair.Floor)];

    public PipelineContender Pipeline => pipeline;

    public FloorContender Floor => floor;

    public Pair Pair => pair;

    /// <summary>The other order than before.</summary>
    public IReadOnlyList<(IContender Contender, Measured Measured)> Next() => _order = [_order[1], _order[0]];
}
