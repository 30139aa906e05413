using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Uploads;

/// <summary>What the sweep of uploads measures in this process.</summary>
internal sealed class UploadMetrics
{
    private readonly Counter<long> _swept;

    public UploadMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Uploads");
        _swept = meter.CreateCounter<long>("pipeline.uploads.swept", "{object}", "Leftovers cleared away, by kind");
    }

    public void Swept(int count, string kind) => _swept.Add(count, new KeyValuePair<string, object?>("kind", kind));
}
