using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Auditing;

/// <summary>What the audit measures in this process.</summary>
internal sealed class AuditMetrics
{
    private readonly Counter<long> _handled;

    public AuditMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Auditing");
        _handled = meter.CreateCounter<long>(
            "pipeline.deadletter.actions",
            "{action}",
            "Dead letters that people handled, by action and queue"
        );
    }

    public void Handled(string action, string queue) => _handled.Add(1, new("action", action), new("queue", queue));
}
