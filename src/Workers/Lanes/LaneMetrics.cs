using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Lanes;

/// <summary>What the lanes of this process measure; docs/operations.md says what each number is for.</summary>
internal sealed class LaneMetrics
{
    private readonly Counter<long> _commands;
    private readonly Histogram<long> _batchSize;
    private readonly Histogram<double> _commitDuration;
    private readonly UpDownCounter<long> _held;
    private readonly Counter<long> _linksLost;

    public LaneMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Lanes");
        _commands = meter.CreateCounter<long>("pipeline.lane.commands", "{command}", "Commands by name and outcome");
        _batchSize = meter.CreateHistogram<long>("pipeline.lane.batch.size", "{command}", "Commands in a transaction");
        _commitDuration = meter.CreateHistogram<double>(
            "pipeline.lane.commit.duration",
            "s",
            "A batch's transaction, from its first statement to its commit"
        );
        _held = meter.CreateUpDownCounter<long>("pipeline.lane.held", "{lane}", "Lanes that this process consumes");
        _linksLost = meter.CreateCounter<long>(
            "pipeline.lane.links.lost",
            "{link}",
            "Links to the broker that were lost, or ended because a batch failed"
        );
    }

    /// <summary>A batch is committed; what was decided before counts in its size, and not as a command.</summary>
    public void Committed(IReadOnlyList<LaneEntry> batch, TimeSpan duration)
    {
        _batchSize.Record(batch.Count);
        _commitDuration.Record(duration.TotalSeconds);
        foreach (var entry in batch)
        {
            if (entry.Decision is { IsNew: true, Outcome: var outcome })
                _commands.Add(1, new("command", entry.Name), new("outcome", outcome));
        }
    }

    public void Taken() => _held.Add(1);

    public void Left() => _held.Add(-1);

    public void LinkLost() => _linksLost.Add(1);
}
