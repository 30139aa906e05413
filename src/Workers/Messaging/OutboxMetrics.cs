using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Messaging;

/// <summary>
/// What the outbox's leader measures. The others say nothing, so that the numbers of a fleet may be added up.
/// </summary>
internal sealed class OutboxMetrics
{
    private readonly Counter<long> _relayed;
    private readonly ObservableGauge<long> _waiting;
    private (long Messages, double OldestSeconds)? _last;
    private int? _held;

    public OutboxMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Messaging");
        _relayed = meter.CreateCounter<long>("pipeline.outbox.relayed", "{message}", "Messages the broker confirmed");
        _waiting = meter.CreateObservableGauge(
            "pipeline.outbox.waiting",
            () => Of(x => x.Messages),
            "{message}",
            "Messages that are committed and not confirmed"
        );
        meter.CreateObservableGauge(
            "pipeline.outbox.oldest.age",
            () => Of(x => x.OldestSeconds),
            "s",
            "How long the oldest of them has waited"
        );
        meter.CreateObservableGauge(
            "pipeline.outbox.held",
            () => _held is { } held ? [new Measurement<int>(held)] : Enumerable.Empty<Measurement<int>>(),
            "{hold}",
            "Messages and exchanges that are passed over, because the broker closes the channel on them"
        );
    }

    /// <summary>False where nobody would see the numbers, which cost a query.</summary>
    public bool IsObserved => _waiting.Enabled;

    public void Relayed(int messages) => _relayed.Add(messages);

    /// <param name="waiting">Messages in the outbox.</param>
    /// <param name="oldestSeconds">Age of the oldest; 0 where there is none.</param>
    public void Measured(long waiting, double oldestSeconds) => _last = (waiting, oldestSeconds);

    public void Held(int holds) => _held = holds;

    public void NoLongerLeader() => (_last, _held) = (null, null);

    private IEnumerable<Measurement<T>> Of<T>(Func<(long Messages, double OldestSeconds), T> value)
        where T : struct => _last is { } last ? [new Measurement<T>(value(last))] : [];
}
