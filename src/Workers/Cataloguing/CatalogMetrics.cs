using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Cataloguing;

/// <summary>What the catalogue measures in this process.</summary>
internal sealed class CatalogMetrics
{
    private readonly Counter<long> _checks;
    private readonly Counter<long> _events;
    private readonly Counter<long> _pages;
    private readonly Counter<long> _keys;
    private readonly Counter<long> _rebuilds;

    public CatalogMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Cataloguing");
        _checks = meter.CreateCounter<long>(
            "pipeline.catalog.checks",
            "{object}",
            "Commands about one object by outcome"
        );
        _events = meter.CreateCounter<long>(
            "pipeline.catalog.events",
            "{event}",
            "Notifications of the store by result"
        );
        _pages = meter.CreateCounter<long>("pipeline.catalog.pages", "{page}", "Pages listed by rebuilds");
        _keys = meter.CreateCounter<long>("pipeline.catalog.keys", "{object}", "Objects listed by rebuilds");
        _rebuilds = meter.CreateCounter<long>(
            "pipeline.catalog.rebuilds",
            "{rebuild}",
            "Rebuilds that ended, by outcome"
        );
    }

    public void Checked(string command, string outcome) =>
        _checks.Add(1, new("command", command), new("outcome", outcome));

    public void Notified(string result) => _events.Add(1, new KeyValuePair<string, object?>("result", result));

    public void Listed(int keys)
    {
        _pages.Add(1);
        _keys.Add(keys);
    }

    public void Rebuilt(string outcome) => _rebuilds.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}
