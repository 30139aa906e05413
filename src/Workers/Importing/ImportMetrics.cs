using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Importing;

/// <summary>What imports measure in this process.</summary>
internal sealed class ImportMetrics
{
    private readonly Counter<long> _imports;

    public ImportMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Importing");
        _imports = meter.CreateCounter<long>("pipeline.import.images", "{import}", "Imports by outcome");
    }

    public void Ended(string outcome) => _imports.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}
