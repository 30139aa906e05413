using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Urls;

/// <summary>What signing measures: the steps in this process, and how far the whole pipeline is behind.</summary>
/// <remarks>The gauges of one fleet are all of the one database: take the greatest, not the sum.</remarks>
internal sealed class UrlMetrics
{
    private readonly Counter<long> _steps;
    private UrlBacklog? _backlog;

    public UrlMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Urls");
        _steps = meter.CreateCounter<long>(
            "pipeline.urls.steps",
            "{step}",
            "Steps asked for a URL, by step and by the code of their failure, which is empty for a success"
        );
        meter.CreateObservableGauge(
            "pipeline.urls.degraded",
            () => Of(x => x.Degraded),
            "{url}",
            "URLs that a later step of their chain had to sign"
        );
        meter.CreateObservableGauge(
            "pipeline.urls.overdue",
            () => Of(x => x.Overdue),
            "{picture}",
            "Pictures whose refresh is due"
        );
        meter.CreateObservableGauge(
            "pipeline.urls.oldest.overdue",
            () => Of(x => x.OldestOverdueSeconds),
            "s",
            "How long the oldest due refresh has waited"
        );
    }

    public void Count(IEnumerable<UrlResult> results)
    {
        foreach (
            var (step, reason) in results.Where(x => x.Outcome != UrlOutcome.GivenBack).SelectMany(UrlStepCounts.Of)
        )
            _steps.Add(1, new("step", step), new("reason", reason));
    }

    /// <summary>What the sweep has read last.</summary>
    public void Show(UrlBacklog backlog) => _backlog = backlog;

    private IEnumerable<Measurement<long>> Of(Func<UrlBacklog, long> value) =>
        _backlog is { } backlog ? [new Measurement<long>(value(backlog))] : [];
}

/// <summary>How far refreshing is behind.</summary>
internal sealed record UrlBacklog(long Degraded, long Overdue, long OldestOverdueSeconds);
