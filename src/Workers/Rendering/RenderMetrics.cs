using System.Diagnostics.Metrics;

namespace Pipeline.Workers.Rendering;

/// <summary>What rendering measures in this process, by model.</summary>
internal sealed class RenderMetrics
{
    /// <summary>An attempt is recorded with its picture.</summary>
    public const string Succeeded = "succeeded";

    /// <summary>The provider is busy or away: the attempt is not spent.</summary>
    public const string Postponed = "postponed";

    /// <summary>The lease was lost on the way, and the result with it.</summary>
    public const string Late = "late";

    private readonly Counter<long> _attempts;
    private readonly Histogram<double> _calls;
    private readonly Counter<long> _closings;

    public RenderMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Rendering");
        _attempts = meter.CreateCounter<long>("pipeline.render.attempts", "{attempt}", "Attempts by model and result");
        _calls = meter.CreateHistogram<double>(
            "pipeline.render.provider.duration",
            "s",
            "A provider's call with the copy of its picture, by model and result"
        );
        _closings = meter.CreateCounter<long>(
            "pipeline.render.gate.closings",
            "{closing}",
            "How often this process closed a model's gate"
        );
    }

    /// <param name="model">The model.</param>
    /// <param name="result">
    /// <see cref="Succeeded"/>, <see cref="Postponed"/>, <see cref="Late"/>, or one of
    /// <see cref="Contracts.Generation.RenderFailureKinds"/>.
    /// </param>
    public void Ended(string model, string result) => _attempts.Add(1, new("model", model), new("result", result));

    public void Called(string model, RenderResult result, TimeSpan duration)
    {
        var name = result switch
        {
            RenderedPicture => Succeeded,
            RenderFailure failure => failure.Kind,
            _ => Postponed,
        };
        _calls.Record(duration.TotalSeconds, new("model", model), new("result", name));
    }

    public void GateClosed(string model) => _closings.Add(1, new KeyValuePair<string, object?>("model", model));
}
