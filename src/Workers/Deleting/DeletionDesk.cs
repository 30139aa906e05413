using MassTransit;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Deleting;

/// <summary>
/// What the transitions do: every row they touch and every message they send commits with the saga's own row.
/// </summary>
internal sealed class DeletionDesk(DeletionOptions options, DeletionMetrics metrics, TimeProvider clock)
{
    /// <inheritdoc cref="DeletionSweeper.IsDueAsync"/>
    public Task<bool> IsDueAsync(BehaviorContext<DeletionSaga, DeletionDue> context) =>
        DeletionSweeper.IsDueAsync(context, options.StaleAfter);

    /// <summary>Begins the purge, unless the deletion was taken back, or a queued command counts on the object.</summary>
    public async Task BeginAsync(BehaviorContext<DeletionSaga, DeletionDue> context)
    {
        var saga = context.Saga;
        var beginning = await PurgeBeginning.OfAsync(Db(context), saga, clock.GetUtcNow(), context.CancellationToken);
        saga.DueAt = beginning.HeldUntil;
        saga.UpdatedAt = clock.GetUtcNow();
        context.AddOrUpdatePayload(() => beginning, _ => beginning);
        if (beginning.Kind == PurgeBeginning.Kinds.TakenBack)
            metrics.Ended(saga.Kind, nameof(DeletionStateMachine.Restored));
        // Replaced bytes belong to an image that lives on.
        if (beginning.Kind == PurgeBeginning.Kinds.Begun && saga.Kind != DeletionSaga.Object)
            await Db(context).AppendAsync([DeletionMessages.Released(saga)], context.CancellationToken);
    }

    public static bool HasBegun(BehaviorContext<DeletionSaga, DeletionDue> context) =>
        context.GetPayload<PurgeBeginning>().Kind == PurgeBeginning.Kinds.Begun;

    public static bool IsTakenBack(BehaviorContext<DeletionSaga, DeletionDue> context) =>
        context.GetPayload<PurgeBeginning>().Kind == PurgeBeginning.Kinds.TakenBack;

    /// <summary>Hands a step to the workers, under the next attempt.</summary>
    public Task SendAsync<T>(BehaviorContext<DeletionSaga, T> context, string step)
        where T : class
    {
        var saga = context.Saga;
        saga.Attempt++;
        saga.DueAt = null;
        saga.UpdatedAt = clock.GetUtcNow();
        var message = new PurgeImage(saga.CorrelationId, saga.Attempt, step);
        return Db(context).AppendAsync([DeletionMessages.Step(message)], context.CancellationToken);
    }

    public void Succeed(BehaviorContext<DeletionSaga, PurgeStepDone> context) => Forgive(context);

    /// <summary>The store has taken the deletions. Refusals are forgotten once it says that nothing is left.</summary>
    public void GoOn(BehaviorContext<DeletionSaga, PurgeStepDone> context)
    {
        var refusals = context.Saga.Refusals;
        Forgive(context);
        context.Saga.Refusals = refusals;
    }

    /// <summary>Tries are counted anew.</summary>
    public void Forgive<T>(BehaviorContext<DeletionSaga, T> context)
        where T : class
    {
        context.Saga.Failures = 0;
        context.Saga.Refusals = 0;
        context.Saga.FailingSince = null;
        context.Saga.FailureReason = null;
        context.Saga.UpdatedAt = clock.GetUtcNow();
    }

    public void RememberFailure(BehaviorContext<DeletionSaga, PurgeStepFailed> context)
    {
        var (saga, failed) = (context.Saga, context.Message);
        saga.Failures++;
        if (failed.Kind != PurgeFailureKinds.Outage)
            saga.Refusals++;
        saga.FailingSince ??= clock.GetUtcNow();
        saga.FailureReason = failed.Reason;
        saga.UpdatedAt = clock.GetUtcNow();
        metrics.Failed(failed.Step, failed.Kind);
    }

    /// <summary>An outage is waited out, a refusal is counted.</summary>
    public bool MayTryAgain(BehaviorContext<DeletionSaga, PurgeStepFailed> context) =>
        context.Message.Kind == PurgeFailureKinds.Outage
            ? clock.GetUtcNow() - context.Saga.FailingSince < options.OutageLimit
            : context.Saga.Refusals < options.AttemptLimit;

    /// <summary>Exponential with full jitter, so that those who failed together do not come back together.</summary>
    public void BackOff(BehaviorContext<DeletionSaga, PurgeStepFailed> context)
    {
        var ceiling = options.BackoffFirst * Math.Pow(2, Math.Min(context.Saga.Failures - 1, 30));
        if (ceiling > options.BackoffLimit)
            ceiling = options.BackoffLimit;
        context.Saga.DueAt = clock.GetUtcNow() + ceiling * Random.Shared.NextDouble();
    }

    public async Task GiveUpAsync(BehaviorContext<DeletionSaga, PurgeStepFailed> context)
    {
        var saga = context.Saga;
        saga.DueAt = null;
        metrics.Ended(saga.Kind, nameof(DeletionStateMachine.Failed));
        var left = await DeletionKeys.CountLeftAsync(Db(context), saga.CorrelationId, context.CancellationToken);
        var told = new ImageDeletionFailed(
            saga.CommandId,
            saga.ProjectId,
            saga.ImageId,
            saga.CorrelationId,
            saga.Kind,
            context.Message.Reason,
            left,
            clock.GetDatabaseNow()
        );
        // The end after a retry by a person is another event than the one before.
        var announcement = Announcement.OfCause(saga.CorrelationId, told, $" {saga.Attempt}");
        await Db(context).AppendAsync([announcement.ToWire(saga.ProjectId)], context.CancellationToken);
    }

    public async Task CompleteAsync(BehaviorContext<DeletionSaga, PurgeStepDone> context)
    {
        var saga = context.Saga;
        saga.DueAt = null;
        saga.PurgedKeys = await DeletionKeys.ForgetAsync(Db(context), saga.CorrelationId, context.CancellationToken);
        metrics.Ended(saga.Kind, nameof(DeletionStateMachine.Completed));
        if (DeletionMessages.Deleted(saga, clock.GetDatabaseNow()) is { } announcement)
            await Db(context).AppendAsync([announcement.ToWire(saga.ProjectId)], context.CancellationToken);
    }

    private static PipelineDbContext Db(PipeContext context) => context.GetPayload<PipelineDbContext>();
}
