using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Deleting;

/// <summary>What deletions measure; docs/operations.md says what each number is for.</summary>
internal sealed class DeletionMetrics
{
    private readonly Counter<long> _ended;
    private readonly Counter<long> _objects;
    private readonly Counter<long> _failures;

    public DeletionMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Deleting");
        _ended = meter.CreateCounter<long>("pipeline.deletion.ended", "{deletion}", "Deletions by kind and state");
        _objects = meter.CreateCounter<long>("pipeline.deletion.objects", "{object}", "Objects that were purged");
        _failures = meter.CreateCounter<long>("pipeline.deletion.failures", "{step}", "Steps that failed");
    }

    public void Ended(string kind, string state) => _ended.Add(1, new("kind", kind), new("state", state));

    public void Purged(int objects) => _objects.Add(objects);

    public void Failed(string step, string kind) => _failures.Add(1, new("step", step), new("kind", kind));
}
