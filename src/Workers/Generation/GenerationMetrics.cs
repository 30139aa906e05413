using System.Diagnostics.Metrics;
using MassTransit;
using Pipeline.Workers.Persistence.Sagas;

namespace Pipeline.Workers.Generation;

/// <summary>What the saga and its sweep measure in this process. An end counts when it is committed, and once.</summary>
internal sealed class GenerationMetrics : IStateObserver<GenerationSaga>
{
    private readonly Counter<long> _ended;
    private readonly Counter<long> _swept;

    public GenerationMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Pipeline.Workers.Generation");
        _ended = meter.CreateCounter<long>(
            "pipeline.generation.ended",
            "{generation}",
            "Generations that came to a state that ends them"
        );
        _swept = meter.CreateCounter<long>(
            "pipeline.generation.swept",
            "{message}",
            "What the sweep has found and told the sagas, by finding"
        );
    }

    /// <param name="finding">Due, lapsed and so on, as docs/operations.md lists them.</param>
    /// <param name="count">How many.</param>
    public void Swept(string finding, int count)
    {
        if (count > 0)
            _swept.Add(count, new KeyValuePair<string, object?>("finding", finding));
    }

    public Task StateChanged(BehaviorContext<GenerationSaga> context, State currentState, State previousState)
    {
        if (
            currentState.Name
            is nameof(GenerationStateMachine.Completed)
                or nameof(GenerationStateMachine.Abandoned)
                or nameof(GenerationStateMachine.Rejected)
                or nameof(GenerationStateMachine.Cancelled)
                or nameof(GenerationStateMachine.Removed)
        )
        {
            context
                .GetPayload<AfterCommit>()
                .Add(() => _ended.Add(1, new KeyValuePair<string, object?>("state", currentState.Name)));
        }

        return Task.CompletedTask;
    }
}
