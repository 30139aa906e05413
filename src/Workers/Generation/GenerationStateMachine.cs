using MassTransit;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Generation;

/// <summary>
/// One picture, from the first request to its saved copies or its end. Read the constructor as the table in
/// docs/generation.md; a test holds the two together.
/// </summary>
internal sealed class GenerationStateMachine : MassTransitStateMachine<GenerationSaga>
{
    public GenerationStateMachine(
        GenerationDesk desk,
        GenerationRemoval removal,
        SagaCommands commands,
        GenerationMetrics metrics
    )
    {
        ConnectStateObserver(metrics);
        InstanceState(x => x.CurrentState);
        Event(() => Asked, x => x.CorrelateById(m => m.Message.GenerationId));
        Event(() => Rendered, x => Correlate(x, m => m.GenerationId));
        Event(() => Failed, x => Correlate(x, m => m.GenerationId));
        Event(() => Postponed, x => Correlate(x, m => m.GenerationId));
        Event(() => Due, x => Correlate(x, m => m.GenerationId));
        Event(() => LeaseExpired, x => Correlate(x, m => m.GenerationId));
        Event(() => DeadlinePassed, x => Correlate(x, m => m.GenerationId));
        Event(() => Settled, x => Correlate(x, m => m.GenerationId));
        Event(() => Released, x => Correlate(x, m => m.GenerationId));
        Event(() => RemovalEnded, x => Correlate(x, m => m.GenerationId));
        Event(() => CancelAsked, x => CorrelateCommand(x, m => m.GenerationId, commands));
        Event(() => RetryAsked, x => CorrelateCommand(x, m => m.GenerationId, commands));

        Initially(
            When(Asked)
                .Then(desk.Remember)
                .ThenAsync(desk.JoinAsync)
                .IfElseAsync(
                    GenerationDesk.IsWantedAsync,
                    wanted => wanted.ThenAsync(desk.RenderAnewAsync).TransitionTo(Rendering),
                    refused => refused.Finalize() // Its id has its answer already; nobody would take the picture.
                )
        );
        SetCompletedWhenFinalized();

        During(
            Requested, // An attempt waits for its time.
            When(Asked).ThenAsync(desk.JoinAsync),
            When(Due, x => IsCurrent(x, x.Message.Attempt)).ThenAsync(desk.RenderAsync).TransitionTo(Rendering),
            When(DeadlinePassed, x => IsCurrent(x, x.Message.Attempt))
                .ThenAsync(x => desk.EndAsync(x, Outcomes.Failed, "The deadline passed before an attempt succeeded."))
                .TransitionTo(Abandoned),
            Cancel(desk, commands),
            When(RetryAsked)
                .IfNew(
                    commands,
                    x => x.ThenAsync(desk.RenderAsync).ThenAsync(commands.ApplyAsync).TransitionTo(Rendering)
                ),
            When(Settled).ThenAsync(desk.SettleAsync),
            Withdraw(removal),
            Ignore(RemovalEnded),
            Ignore(Rendered), // Of an attempt that was given up: its lease was lost, and its result with it.
            Ignore(Failed),
            Ignore(Postponed),
            Ignore(LeaseExpired)
        );

        During(
            Rendering,
            When(Asked).ThenAsync(desk.JoinAsync),
            When(Rendered, x => IsCurrent(x, x.Message.Attempt)).ThenAsync(desk.SaveAsync).TransitionTo(Saving),
            When(Failed, x => IsCurrent(x, x.Message.Attempt) && IsVerdict(x.Message))
                .ThenAsync(x => desk.EndAsync(x, Outcomes.Rejected, x.Message.Reason, x.Message.Kind))
                .TransitionTo(Rejected),
            When(Failed, x => IsCurrent(x, x.Message.Attempt) && !IsVerdict(x.Message))
                .Then(desk.RememberFailure)
                .IfElse(
                    x => x.Message.Kind == RenderFailureKinds.Transient && desk.MayTryAgain(x),
                    retry => retry.Then(desk.BackOff).TransitionTo(Requested),
                    end => end.ThenAsync(desk.AbandonAsync).TransitionTo(Abandoned)
                ),
            When(LeaseExpired, x => IsCurrent(x, x.Message.Attempt))
                .ThenAsync(desk.RememberLostLeaseAsync)
                .IfElse(
                    desk.MayTryAgain,
                    retry => retry.ThenAsync(desk.RenderNextAsync),
                    end => end.ThenAsync(desk.AbandonAsync).TransitionTo(Abandoned)
                ),
            When(Postponed, x => IsCurrent(x, x.Message.Attempt)).Then(desk.Postpone).TransitionTo(Requested),
            When(DeadlinePassed, x => IsCurrent(x, x.Message.Attempt))
                .ThenAsync(x => desk.EndAsync(x, Outcomes.Failed, "The deadline passed before an attempt began."))
                .TransitionTo(Abandoned),
            Cancel(desk, commands),
            When(Settled).ThenAsync(desk.SettleAsync),
            Withdraw(removal),
            Ignore(RemovalEnded),
            When(Due, x => IsCurrent(x, x.Message.Attempt)).ThenAsync(desk.RenderAsync), // Stale: dispatched again.
            LeaveAsItIs(RetryAsked, commands)
        );

        During(
            Saving,
            When(Asked).ThenAsync(desk.JoinAsync).ThenAsync(desk.SaveAgainAsync),
            When(Settled)
                .ThenAsync(desk.SettleAsync)
                .IfAsync(GenerationDesk.IsAllSettledAsync, done => done.TransitionTo(Completed)),
            When(Released).ThenAsync(removal.ReleaseAsync), // What is being saved ends in the lane.
            Ignore(RemovalEnded),
            Ignore(Rendered),
            Ignore(Failed),
            Ignore(Postponed),
            Ignore(Due),
            Ignore(LeaseExpired),
            Ignore(DeadlinePassed), // The picture is there; saving it takes no attempt.
            LeaveAsItIs(CancelAsked, commands), // Too late: what is rendered and paid for is saved.
            RepeatFailedSaves(desk, commands)
        );

        During(
            Completed,
            When(Asked)
                .ThenAsync(desk.JoinAsync)
                .IfAsync(
                    GenerationDesk.IsWantedAsync,
                    wanted => wanted.ThenAsync(desk.SaveAgainAsync).TransitionTo(Saving)
                ),
            When(Settled).ThenAsync(desk.SettleAsync),
            Release(removal),
            Ignore(RemovalEnded),
            Ignore(Rendered),
            Ignore(Failed),
            Ignore(Postponed),
            Ignore(Due),
            Ignore(LeaseExpired),
            Ignore(DeadlinePassed),
            LeaveAsItIs(CancelAsked, commands),
            RepeatFailedSaves(desk, commands)
        );

        During(
            [Abandoned, Cancelled],
            When(Asked)
                .ThenAsync(desk.JoinAsync)
                .IfAsync(
                    GenerationDesk.IsWantedAsync,
                    wanted => wanted.ThenAsync(desk.RenderAnewAsync).TransitionTo(Rendering)
                ),
            When(RetryAsked)
                .IfNew(
                    commands,
                    x =>
                        x.ThenAsync(desk.ReopenAsync)
                            .ThenAsync(desk.RenderAnewAsync)
                            .ThenAsync(commands.ApplyAsync)
                            .TransitionTo(Rendering)
                ),
            When(Settled).ThenAsync(desk.SettleAsync),
            Release(removal),
            Ignore(RemovalEnded),
            Ignore(Rendered),
            Ignore(Failed),
            Ignore(Postponed),
            Ignore(Due),
            Ignore(LeaseExpired),
            Ignore(DeadlinePassed),
            LeaveAsItIs(CancelAsked, commands)
        );

        During(
            Rejected, // The provider's no is final; a forced request is another generation.
            When(Asked).ThenAsync(desk.JoinAsync).ThenAsync(desk.RejectAgainAsync),
            When(Settled).ThenAsync(desk.SettleAsync),
            Release(removal),
            Ignore(RemovalEnded),
            Ignore(Rendered),
            Ignore(Failed),
            Ignore(Postponed),
            Ignore(Due),
            Ignore(LeaseExpired),
            Ignore(DeadlinePassed),
            LeaveAsItIs(CancelAsked, commands),
            LeaveAsItIs(RetryAsked, commands)
        );

        During(
            Removing, // The prompt is forgotten; who asks now waits until the originals are gone.
            When(Asked)
                .ThenAsync(desk.JoinAsync)
                .IfAsync(GenerationDesk.IsWantedAsync, wanted => wanted.Then(desk.Remember)),
            When(RemovalEnded, x => IsCurrent(x, x.Message.Attempt) && x.Message.Reason is not null)
                .Then(removal.RememberFailure),
            When(RemovalEnded, x => IsCurrent(x, x.Message.Attempt) && x.Message.Reason is null)
                .Then(removal.End)
                .IfElseAsync(
                    GenerationRemoval.IsAwaitedAsync,
                    wanted => wanted.ThenAsync(desk.RenderAnewAsync).TransitionTo(Rendering),
                    none => none.TransitionTo(Removed)
                ),
            When(Due, x => IsCurrent(x, x.Message.Attempt)).ThenAsync(removal.SendAsync),
            When(Released)
                .ThenAsync(removal.WithdrawAsync)
                .IfAsync(GenerationRemoval.IsAwaitedByNobodyAsync, none => none.Then(removal.Forget)),
            Ignore(Settled),
            Ignore(Rendered),
            Ignore(Failed),
            Ignore(Postponed),
            Ignore(LeaseExpired),
            Ignore(DeadlinePassed),
            LeaveAsItIs(CancelAsked, commands),
            LeaveAsItIs(RetryAsked, commands)
        );

        During(
            Removed, // Who asks again has it rendered anew, under the next attempt.
            When(Asked)
                .ThenAsync(desk.JoinAsync)
                .IfAsync(
                    GenerationDesk.IsWantedAsync,
                    wanted => wanted.Then(desk.Remember).ThenAsync(desk.RenderAnewAsync).TransitionTo(Rendering)
                ),
            Ignore(RemovalEnded),
            Ignore(Released),
            Ignore(Settled),
            Ignore(Rendered),
            Ignore(Failed),
            Ignore(Postponed),
            Ignore(Due),
            Ignore(LeaseExpired),
            Ignore(DeadlinePassed),
            LeaveAsItIs(CancelAsked, commands),
            LeaveAsItIs(RetryAsked, commands)
        );
    }

    public State Requested { get; } = null!;
    public State Rendering { get; } = null!;
    public State Saving { get; } = null!;
    public State Completed { get; } = null!;
    public State Abandoned { get; } = null!;
    public State Rejected { get; } = null!;
    public State Cancelled { get; } = null!;
    public State Removing { get; } = null!;
    public State Removed { get; } = null!;

    public Event<RequestGeneration> Asked { get; } = null!;
    public Event<RenderSucceeded> Rendered { get; } = null!;
    public Event<RenderFailed> Failed { get; } = null!;
    public Event<RenderPostponed> Postponed { get; } = null!;
    public Event<RenderDue> Due { get; } = null!;
    public Event<RenderLeaseExpired> LeaseExpired { get; } = null!;
    public Event<GenerationDeadlinePassed> DeadlinePassed { get; } = null!;
    public Event<TargetSettled> Settled { get; } = null!;
    public Event<GenerationReleased> Released { get; } = null!;
    public Event<RemovalEnded> RemovalEnded { get; } = null!;
    public Event<CancelGeneration> CancelAsked { get; } = null!;
    public Event<RetryGeneration> RetryAsked { get; } = null!;

    /// <summary>Nothing is under way: where no image needs the originals any more, they are removed.</summary>
    private EventActivityBinder<GenerationSaga, GenerationReleased> Release(GenerationRemoval removal) =>
        RemoveIfUnneeded(When(Released).ThenAsync(removal.ReleaseAsync), removal);

    /// <summary>An attempt is under way, and stops where nobody waits for it any more.</summary>
    private EventActivityBinder<GenerationSaga, GenerationReleased> Withdraw(GenerationRemoval removal) =>
        RemoveIfUnneeded(
            When(Released)
                .ThenAsync(removal.WithdrawAsync)
                .IfAsync(
                    GenerationRemoval.IsAwaitedByNobodyAsync,
                    none => none.ThenAsync(removal.StopAsync).TransitionTo(Cancelled)
                ),
            removal
        );

    private EventActivityBinder<GenerationSaga, GenerationReleased> RemoveIfUnneeded(
        EventActivityBinder<GenerationSaga, GenerationReleased> released,
        GenerationRemoval removal
    ) =>
        released.IfAsync(
            GenerationRemoval.IsNeededByNobodyAsync,
            none => none.ThenAsync(removal.BeginAsync).TransitionTo(Removing)
        );

    private EventActivityBinder<GenerationSaga, CancelGeneration> Cancel(GenerationDesk desk, SagaCommands commands) =>
        When(CancelAsked)
            .IfNew(
                commands,
                x =>
                    x.ThenAsync(y => desk.EndAsync(y, Outcomes.Superseded, "The generation was cancelled."))
                        .ThenAsync(commands.ApplyAsync)
                        .TransitionTo(Cancelled)
            );

    /// <summary>The command comes too late or finds nothing to do.</summary>
    private EventActivityBinder<GenerationSaga, T> LeaveAsItIs<T>(Event<T> asked, SagaCommands commands)
        where T : class => When(asked).LeaveAsItIs(commands, Describe);

    /// <summary>The picture is there; a person may have what failed of its saves repeated.</summary>
    private EventActivityBinder<GenerationSaga, RetryGeneration> RepeatFailedSaves(
        GenerationDesk desk,
        SagaCommands commands
    ) =>
        When(RetryAsked)
            .IfNew(
                commands,
                x =>
                    x.IfElseAsync(
                        GenerationDesk.AnySaveFailedAsync,
                        failed =>
                            failed
                                .ThenAsync(desk.RepeatFailedSavesAsync)
                                .ThenAsync(commands.ApplyAsync)
                                .TransitionTo(Saving),
                        none => none.ThenAsync(y => commands.LeaveAsync(y, Describe(y.Saga)))
                    )
            );

    private static string Describe(GenerationSaga saga) => $"The generation is {saga.CurrentState}.";

    /// <summary>The failure is about the picture itself, and final for it.</summary>
    private static bool IsVerdict(RenderFailed failed) =>
        failed.Kind is RenderFailureKinds.Permanent or RenderFailureKinds.Moderation;

    private static bool IsCurrent(BehaviorContext<GenerationSaga> context, int attempt) =>
        context.Saga.Attempt == attempt;

    private static void Correlate<T>(IEventCorrelationConfigurator<GenerationSaga, T> correlation, Func<T, Guid> id)
        where T : class
    {
        correlation.CorrelateById(context => id(context.Message));
        correlation.OnMissingInstance(missing => missing.Discard()); // Nobody asked for it here; nothing is owed.
    }

    private static void CorrelateCommand<T>(
        IEventCorrelationConfigurator<GenerationSaga, T> correlation,
        Func<T, Guid> id,
        SagaCommands commands
    )
        where T : class
    {
        correlation.CorrelateById(context => id(context.Message));
        correlation.OnMissingInstance(missing => // A person asked, and gets an answer.
            missing.ExecuteAsync(x => commands.RefuseUnknownAsync(x, "generationId: there is no such generation."))
        );
    }
}
