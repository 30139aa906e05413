using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Reconciling;

/// <summary>What reconciliations measure in this process.</summary>
internal sealed class ReconcilingMetrics
{
    private readonly Counter<long> _compared;
    private readonly Counter<long> _findings;
    private readonly Counter<long> _discarded;

    public ReconcilingMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Reconciling");
        _compared = meter.CreateCounter<long>("pipeline.reconciling.objects", "{object}", "Objects compared");
        _findings = meter.CreateCounter<long>("pipeline.reconciling.findings", "{finding}", "Findings by kind");
        _discarded = meter.CreateCounter<long>("pipeline.reconciling.discards", "{command}", "Discards by outcome");
    }

    public void Compared(int objects) => _compared.Add(objects);

    public void Found(string kind, int count) => _findings.Add(count, new KeyValuePair<string, object?>("kind", kind));

    public void Discarded(string outcome) => _discarded.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}
