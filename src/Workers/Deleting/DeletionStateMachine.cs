using MassTransit;
using Pipeline.Contracts.Deleting;

namespace Pipeline.Workers.Deleting;

/// <summary>
/// One deletion, from its tombstone to the last byte. Read the constructor as the table in docs/deletion.md; a test
/// holds the two together. The row is there before the first event: a lane's command has written it.
/// </summary>
internal sealed class DeletionStateMachine : MassTransitStateMachine<DeletionSaga>
{
    public DeletionStateMachine(DeletionDesk desk)
    {
        InstanceState(x => x.CurrentState);
        Event(() => Due, x => Correlate(x, m => m.DeletionId));
        Event(() => StepDone, x => Correlate(x, m => m.DeletionId));
        Event(() => StepFailed, x => Correlate(x, m => m.DeletionId));
        Event(
            () => RetryAsked,
            x =>
            {
                x.CorrelateById(m => m.Message.DeletionId);
                x.OnMissingInstance(missing => missing.ExecuteAsync(desk.RefuseUnknownAsync));
            }
        );

        During(
            Tombstoned, // Until the grace period is over.
            When(Due)
                .ThenAsync(desk.BeginAsync)
                .IfElse(
                    DeletionDesk.HasBegun,
                    begun => begun.ThenAsync(x => desk.SendAsync(x, PurgeSteps.Purge)).TransitionTo(Purging),
                    not => not.If(DeletionDesk.IsTakenBack, x => x.TransitionTo(Restored))
                ),
            Ignore(StepDone),
            Ignore(StepFailed),
            When(RetryAsked).ThenAsync(desk.LeaveAsItIsAsync)
        );

        During(
            Purging,
            When(Due, IsCurrent).ThenAsync(x => desk.SendAsync(x, PurgeSteps.Purge)),
            When(StepDone, IsCurrent)
                .Then(desk.Succeed)
                .IfElse(
                    x => x.Message.HasMore,
                    more => more.ThenAsync(x => desk.SendAsync(x, PurgeSteps.Purge)),
                    done => done.ThenAsync(x => desk.SendAsync(x, PurgeSteps.Verify)).TransitionTo(Verifying)
                ),
            When(StepFailed, IsCurrent)
                .Then(desk.RememberFailure)
                .IfElse(
                    desk.MayTryAgain,
                    again => again.Then(desk.BackOff),
                    end => end.ThenAsync(desk.GiveUpAsync).TransitionTo(Failed)
                ),
            When(RetryAsked)
                .IfAsync(
                    desk.IsNewAsync,
                    x => x.ThenAsync(y => desk.SendAsync(y, PurgeSteps.Purge)).ThenAsync(desk.ConfirmAsync)
                )
        );

        During(
            Verifying,
            When(Due, IsCurrent).ThenAsync(x => desk.SendAsync(x, PurgeSteps.Verify)),
            When(StepDone, IsCurrent)
                .Then(desk.Succeed)
                .ThenAsync(x => desk.SendAsync(x, PurgeSteps.Invalidate))
                .TransitionTo(Invalidating),
            When(StepFailed, IsCurrent)
                .Then(desk.RememberFailure)
                .IfElse(
                    desk.MayTryAgain, // What is still there is deleted again; where the store is away, so is it then.
                    again => again.Then(desk.BackOff).TransitionTo(Purging),
                    end => end.ThenAsync(desk.GiveUpAsync).TransitionTo(Failed)
                ),
            When(RetryAsked)
                .IfAsync(
                    desk.IsNewAsync,
                    x => x.ThenAsync(y => desk.SendAsync(y, PurgeSteps.Verify)).ThenAsync(desk.ConfirmAsync)
                )
        );

        During(
            Invalidating,
            When(Due, IsCurrent).ThenAsync(x => desk.SendAsync(x, PurgeSteps.Invalidate)),
            When(StepDone, IsCurrent).Then(desk.Succeed).ThenAsync(desk.CompleteAsync).TransitionTo(Completed),
            When(StepFailed, IsCurrent)
                .Then(desk.RememberFailure)
                .IfElse(
                    desk.MayTryAgain,
                    again => again.Then(desk.BackOff),
                    end => end.ThenAsync(desk.GiveUpAsync).TransitionTo(Failed)
                ),
            When(RetryAsked)
                .IfAsync(
                    desk.IsNewAsync,
                    x => x.ThenAsync(y => desk.SendAsync(y, PurgeSteps.Invalidate)).ThenAsync(desk.ConfirmAsync)
                )
        );

        During(
            Failed, // The keys are kept; a person goes on.
            Ignore(Due),
            Ignore(StepDone),
            Ignore(StepFailed),
            When(RetryAsked)
                .IfAsync(
                    desk.IsNewAsync, // A redelivered one has had its tries.
                    x =>
                        x.Then(desk.Forgive)
                            .ThenAsync(y => desk.SendAsync(y, PurgeSteps.Purge))
                            .ThenAsync(desk.ConfirmAsync)
                            .TransitionTo(Purging)
                )
        );

        During(
            [Completed, Restored],
            Ignore(Due),
            Ignore(StepDone),
            Ignore(StepFailed),
            When(RetryAsked).ThenAsync(desk.LeaveAsItIsAsync)
        );
    }

    public State Tombstoned { get; } = null!;
    public State Purging { get; } = null!;
    public State Verifying { get; } = null!;
    public State Invalidating { get; } = null!;
    public State Completed { get; } = null!;
    public State Failed { get; } = null!;
    public State Restored { get; } = null!;

    public Event<DeletionDue> Due { get; } = null!;
    public Event<PurgeStepDone> StepDone { get; } = null!;
    public Event<PurgeStepFailed> StepFailed { get; } = null!;
    public Event<RetryDeletion> RetryAsked { get; } = null!;

    private static bool IsCurrent(BehaviorContext<DeletionSaga, DeletionDue> x) => x.Saga.Attempt == x.Message.Attempt;

    private static bool IsCurrent(BehaviorContext<DeletionSaga, PurgeStepDone> x) =>
        x.Saga.Attempt == x.Message.Attempt;

    private static bool IsCurrent(BehaviorContext<DeletionSaga, PurgeStepFailed> x) =>
        x.Saga.Attempt == x.Message.Attempt;

    private static void Correlate<T>(IEventCorrelationConfigurator<DeletionSaga, T> correlation, Func<T, Guid> id)
        where T : class
    {
        correlation.CorrelateById(context => id(context.Message));
        correlation.OnMissingInstance(missing => missing.Discard()); // Nothing is owed: the row is the deletion.
    }
}
