using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Uploads;

/// <summary>What the sweep of uploads measures in this process.</summary>
internal sealed class UploadMetrics
{
    private readonly Counter<long> _swept;
    private readonly Counter<long> _refused;

    public UploadMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Uploads");
        _swept = meter.CreateCounter<long>("pipeline.uploads.swept", "{object}", "Leftovers cleared away, by kind");
        _refused = meter.CreateCounter<long>(
            "pipeline.uploads.refused",
            "{object}",
            "Leftovers that the store would not clear away, by kind"
        );
    }

    public void Refused(int count, string kind) => _refused.Add(count, new KeyValuePair<string, object?>("kind", kind));

    public void Swept(int count, string kind) => _swept.Add(count, new KeyValuePair<string, object?>("kind", kind));
}
