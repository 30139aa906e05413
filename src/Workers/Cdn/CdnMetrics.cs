using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Cdn;

/// <summary>What invalidations measure; docs/operations.md says what each number is for.</summary>
internal sealed class CdnMetrics
{
    private readonly Counter<long> _invalidations;

    public CdnMetrics(IMeterFactory meters) =>
        _invalidations = meters
            .Create("Pipeline.Workers.Cdn")
            .CreateCounter<long>("pipeline.cdn.invalidations", "{call}", "Calls by CDN and outcome");

    public void Invalidated(string cdn, string outcome) =>
        _invalidations.Add(1, new("cdn", cdn), new("outcome", outcome));
}
