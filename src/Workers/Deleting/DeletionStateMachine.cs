using MassTransit;
using Pipeline.Contracts.Deleting;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Deleting;

/// <summary>
/// One deletion, from its tombstone to the last byte. Read the constructor as the table in docs/deletion.md; a test
/// holds the two together. The row is there before the first event: a lane's command has written it.
/// </summary>
internal sealed class DeletionStateMachine : MassTransitStateMachine<DeletionSaga>
{
    public DeletionStateMachine(DeletionDesk desk, SagaCommands commands)
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
                x.OnMissingInstance(missing =>
                    missing.ExecuteAsync(m => commands.RefuseUnknownAsync(m, "deletionId: there is no such deletion."))
                );
            }
        );

        During(
            Tombstoned, // Until the grace period is over.
            When(Due)
                .IfAsync(
                    desk.IsDueAsync,
                    due =>
                        due.ThenAsync(desk.BeginAsync)
                            .IfElse(
                                DeletionDesk.HasBegun,
                                begun =>
                                    begun.ThenAsync(x => desk.SendAsync(x, PurgeSteps.Purge)).TransitionTo(Purging),
                                not => not.If(DeletionDesk.IsTakenBack, x => x.TransitionTo(Restored))
                            )
                ),
            Ignore(StepDone),
            Ignore(StepFailed),
            When(RetryAsked).LeaveAsItIs(commands, x => $"The deletion is {x.CurrentState}.")
        );

        During(
            Purging,
            SendAgain(desk, PurgeSteps.Purge),
            // Refusals are counted on until the store says that nothing is left: where it takes a deletion and keeps
            // the object, or somebody puts it again and again, the end is Failed and not a circle.
            When(StepDone, IsCurrent)
                .IfElse(
                    x => x.Message.HasMore,
                    more => more.Then(desk.Succeed).ThenAsync(x => desk.SendAsync(x, PurgeSteps.Purge)),
                    done =>
                        done.Then(desk.GoOn)
                            .ThenAsync(x => desk.SendAsync(x, PurgeSteps.Verify))
                            .TransitionTo(Verifying)
                ),
            When(StepFailed, IsCurrent)
                .Then(desk.RememberFailure)
                .IfElse(
                    desk.MayTryAgain,
                    again => again.Then(desk.BackOff),
                    end => end.ThenAsync(desk.GiveUpAsync).TransitionTo(Failed)
                ),
            When(RetryAsked)
                .IfNew(
                    commands,
                    x => x.ThenAsync(y => desk.SendAsync(y, PurgeSteps.Purge)).ThenAsync(commands.ApplyAsync)
                )
        );

        During(
            Verifying,
            SendAgain(desk, PurgeSteps.Verify),
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
                .IfNew(
                    commands,
                    x => x.ThenAsync(y => desk.SendAsync(y, PurgeSteps.Verify)).ThenAsync(commands.ApplyAsync)
                )
        );

        During(
            Invalidating,
            SendAgain(desk, PurgeSteps.Invalidate),
            When(StepDone, IsCurrent).Then(desk.Succeed).ThenAsync(desk.CompleteAsync).TransitionTo(Completed),
            When(StepFailed, IsCurrent)
                .Then(desk.RememberFailure)
                .IfElse(
                    desk.MayTryAgain,
                    again => again.Then(desk.BackOff),
                    end => end.ThenAsync(desk.GiveUpAsync).TransitionTo(Failed)
                ),
            When(RetryAsked)
                .IfNew(
                    commands,
                    x => x.ThenAsync(y => desk.SendAsync(y, PurgeSteps.Invalidate)).ThenAsync(commands.ApplyAsync)
                )
        );

        During(
            Failed, // The keys are kept; a person goes on.
            Ignore(Due),
            Ignore(StepDone),
            Ignore(StepFailed),
            When(RetryAsked)
                .IfNew(
                    commands, // A redelivered one has had its tries.
                    x =>
                        x.Then(desk.Forgive)
                            .ThenAsync(y => desk.SendAsync(y, PurgeSteps.Purge))
                            .ThenAsync(commands.ApplyAsync)
                            .TransitionTo(Purging)
                )
        );

        During(
            [Completed, Restored],
            Ignore(Due),
            Ignore(StepDone),
            Ignore(StepFailed),
            When(RetryAsked).LeaveAsItIs(commands, x => $"The deletion is {x.CurrentState}.")
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

    /// <summary>The pause after a failure is over, or nothing was heard of the step for too long.</summary>
    private EventActivityBinder<DeletionSaga, DeletionDue> SendAgain(DeletionDesk desk, string step) =>
        When(Due, IsCurrent).IfAsync(desk.IsDueAsync, due => due.ThenAsync(x => desk.SendAsync(x, step)));

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
