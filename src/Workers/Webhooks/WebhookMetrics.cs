using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Webhooks;

/// <summary>What this process's deliveries measure.</summary>
internal sealed class WebhookMetrics
{
    private readonly Counter<long> _attempts;
    private readonly Histogram<double> _duration;

    public WebhookMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Webhooks");
        _attempts = meter.CreateCounter<long>(
            "pipeline.webhook.attempts",
            "{attempt}",
            "Attempts, by what the delivery is then: delivered, pending, dead"
        );
        _duration = meter.CreateHistogram<double>(
            "pipeline.webhook.attempt.duration",
            "s",
            "How long receivers take to answer"
        );
    }

    /// <param name="state">The delivery's.</param>
    /// <param name="took">From the request to the recorded answer.</param>
    public void Attempted(string state, TimeSpan took)
    {
        var tag = new KeyValuePair<string, object?>("state", state);
        _attempts.Add(1, tag);
        _duration.Record(took.TotalSeconds, tag);
    }
}
