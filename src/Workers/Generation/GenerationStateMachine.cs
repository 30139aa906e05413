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
    private const string IsRendered = "The image is rendered already: what is paid for is saved.";
    private const string NoneToCancel = "The project has no open request for this generation.";
    private const string NoneToRetry = "The project has no request for this generation that can be retried.";

    public GenerationStateMachine(
        GenerationDesk desk,
        SweepCheck check,
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
        Event(() => CancelAsked, x => CorrelateCommand(x, m => m.GenerationId, commands, NoneToCancel));
        Event(() => RetryAsked, x => CorrelateCommand(x, m => m.GenerationId, commands, NoneToRetry));

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
            When(Due, x => IsCurrent(x, x.Message.Attempt))
                .IfAsync(check.IsDueAsync, due => due.ThenAsync(desk.RenderAsync).TransitionTo(Rendering)),
            EndLate(desk, "The deadline passed before an attempt succeeded."),
            Cancel(desk, commands),
            Retry(
                desk,
                commands,
                GenerationDesk.HasOpenOrRetryableAsync, // Whoever waits may have the attempt begin at once.
                x => x.ThenAsync(desk.RenderAsync).TransitionTo(Rendering)
            ),
            Settle(desk),
            Withdraw(removal),
            // A copy of the attempt's message was rendered before its time: the image is there.
            When(Rendered, x => IsCurrent(x, x.Message.Attempt)).ThenAsync(desk.SaveAsync).TransitionTo(Saving),
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
                .IfAsync(
                    desk.LoseAttemptAsync,
                    lost =>
                        lost.IfElse(
                            desk.MayTryAgain,
                            retry => retry.ThenAsync(desk.RenderNextAsync),
                            end => end.ThenAsync(desk.AbandonAsync).TransitionTo(Abandoned)
                        )
                ),
            When(Postponed, x => IsCurrent(x, x.Message.Attempt)).Then(desk.Postpone).TransitionTo(Requested),
            EndLate(desk, "The deadline passed before an attempt began."),
            Cancel(desk, commands),
            Settle(desk),
            Withdraw(removal),
            When(Due, x => IsCurrent(x, x.Message.Attempt))
                .IfAsync(check.IsDueAsync, stale => stale.ThenAsync(desk.RenderAsync)), // Dispatched again.
            Retry(desk, commands, GenerationDesk.HasRetryableAsync, x => x)
        );

        During(
            Saving,
            When(Asked).ThenAsync(desk.JoinAsync).ThenAsync(desk.SaveAgainAsync),
            Settle(desk).IfAsync(GenerationDesk.IsUnwantedAsync, done => done.TransitionTo(Completed)),
            When(Released).ThenAsync(removal.ReleaseAsync) // What is being saved ends in the lane.
        );

        During(
            Completed,
            When(Asked)
                .ThenAsync(desk.JoinAsync)
                .IfAsync(
                    GenerationDesk.IsWantedAsync,
                    wanted => wanted.ThenAsync(desk.SaveAgainAsync).TransitionTo(Saving)
                ),
            Settle(desk),
            Release(removal)
        );

        During(
            [Abandoned, Cancelled],
            When(Asked)
                .ThenAsync(desk.JoinAsync)
                .IfAsync(
                    GenerationDesk.IsWantedAsync,
                    wanted => wanted.ThenAsync(desk.RenderAnewAsync).TransitionTo(Rendering)
                ),
            Retry(
                desk,
                commands,
                GenerationDesk.HasRetryableAsync,
                x => x.ThenAsync(desk.RenderAnewAsync).TransitionTo(Rendering)
            ),
            Settle(desk),
            Release(removal)
        );

        During(
            Rejected, // The provider's no is final; a forced request is another generation.
            When(Asked).ThenAsync(desk.JoinAsync).ThenAsync(desk.RejectAgainAsync),
            Settle(desk),
            Release(removal),
            Leave(RetryAsked, commands, NoneToRetry)
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
            When(Due, x => IsCurrent(x, x.Message.Attempt))
                .IfAsync(check.IsDueAsync, due => due.ThenAsync(removal.SendAsync)),
            When(Released)
                .ThenAsync(removal.WithdrawAsync)
                .IfAsync(GenerationRemoval.IsAwaitedByNobodyAsync, none => none.Then(removal.Forget)),
            Ignore(Settled),
            CancelWaiting(desk, removal, commands),
            Leave(RetryAsked, commands, NoneToRetry)
        );

        During(
            Removed, // Who asks again has it rendered anew, under the next attempt.
            When(Asked)
                .ThenAsync(desk.JoinAsync)
                .IfAsync(
                    GenerationDesk.IsWantedAsync,
                    wanted => wanted.Then(desk.Remember).ThenAsync(desk.RenderAnewAsync).TransitionTo(Rendering)
                ),
            When(Released).ThenAsync(removal.ReleaseAsync),
            Ignore(Settled),
            Leave(RetryAsked, commands, NoneToRetry)
        );

        During(
            [Saving, Completed],
            Retry(
                desk,
                commands,
                GenerationDesk.HasRetryableAsync,
                x => x.ThenAsync(desk.SaveReopenedAsync).TransitionTo(Saving)
            )
        );
        During(
            [Saving, Completed, Abandoned, Cancelled, Rejected, Removed],
            Ignore(Due),
            Leave(CancelAsked, commands, NoneToCancel) // Too late: what is rendered and paid for is saved.
        );
        During(
            [Saving, Completed, Abandoned, Cancelled, Rejected, Removing, Removed],
            Ignore(Rendered), // No attempt is under way; its deadline is over with it.
            Ignore(Failed),
            Ignore(Postponed),
            Ignore(LeaseExpired),
            Ignore(DeadlinePassed)
        );
        During(
            [Requested, Rendering, Saving, Completed, Abandoned, Cancelled, Rejected, Removed],
            Ignore(RemovalEnded)
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

    private EventActivityBinder<GenerationSaga, GenerationDeadlinePassed> EndLate(GenerationDesk desk, string reason) =>
        When(DeadlinePassed, x => IsCurrent(x, x.Message.Attempt))
            .IfAsync(
                async x => await SweepCheck.IsLateAsync(x) && await GenerationDesk.CloseAttemptAsync(x, reason),
                late => late.ThenAsync(x => desk.EndAsync(x, Outcomes.Failed, reason)).TransitionTo(Abandoned)
            );

    private EventActivityBinder<GenerationSaga, TargetSettled> Settle(GenerationDesk desk) =>
        When(Settled).IfAsync(SweepCheck.IsSettledAsync, settled => settled.ThenAsync(desk.SettleAsync));

    /// <summary>Withdraws the asker's requests that wait for the end of a removal.</summary>
    private EventActivityBinder<GenerationSaga, CancelGeneration> CancelWaiting(
        GenerationDesk desk,
        GenerationRemoval removal,
        SagaCommands commands
    ) => Cancel(desk, commands, x => x.IfAsync(GenerationDesk.IsUnwantedAsync, none => none.Then(removal.Forget)));

    private EventActivityBinder<GenerationSaga, CancelGeneration> Cancel(GenerationDesk desk, SagaCommands commands) =>
        Cancel(
            desk,
            commands,
            x =>
                x.IfAsync(
                    GenerationDesk.IsUnwantedAsync,
                    last => last.ThenAsync(desk.StopAsync).TransitionTo(Cancelled)
                )
        );

    /// <summary>Withdraws the asker's requests. Rendering stops with the last request of all.</summary>
    private EventActivityBinder<GenerationSaga, CancelGeneration> Cancel(
        GenerationDesk desk,
        SagaCommands commands,
        Func<
            EventActivityBinder<GenerationSaga, CancelGeneration>,
            EventActivityBinder<GenerationSaga, CancelGeneration>
        > then
    ) =>
        When(CancelAsked)
            .IfNew(
                commands,
                x =>
                    x.IfElseAsync(
                        GenerationDesk.HasOpenAsync,
                        own =>
                            own.IfElseAsync(
                                GenerationDesk.MayWithdrawAsync,
                                open => then(open.ThenAsync(desk.WithdrawAsync).ThenAsync(commands.ApplyAsync)),
                                rendered => rendered.ThenAsync(y => commands.LeaveAsync(y, IsRendered))
                            ),
                        none => none.ThenAsync(y => LeaveAsync(y, commands, NoneToCancel))
                    )
            );

    /// <summary>Opens the asker's failed and cancelled requests again.</summary>
    private EventActivityBinder<GenerationSaga, RetryGeneration> Retry(
        GenerationDesk desk,
        SagaCommands commands,
        StateMachineAsyncCondition<GenerationSaga, RetryGeneration> isAny,
        Func<
            EventActivityBinder<GenerationSaga, RetryGeneration>,
            EventActivityBinder<GenerationSaga, RetryGeneration>
        > begin
    ) =>
        When(RetryAsked)
            .IfNew(
                commands,
                x =>
                    x.IfElseAsync(
                        isAny,
                        own => begin(own.ThenAsync(desk.ReopenAsync).ThenAsync(commands.ApplyAsync)),
                        none => none.ThenAsync(y => LeaveAsync(y, commands, NoneToRetry))
                    )
            );

    /// <summary>The command comes too late or finds nothing to do.</summary>
    private EventActivityBinder<GenerationSaga, T> Leave<T>(Event<T> asked, SagaCommands commands, string none)
        where T : class => When(asked).IfNew(commands, x => x.ThenAsync(y => LeaveAsync(y, commands, none)));

    /// <summary>
    /// Only who waits for the picture hears how it stands. Another project's command is answered as if nobody had asked
    /// for it.
    /// </summary>
    private static async Task LeaveAsync<T>(
        BehaviorContext<GenerationSaga, T> context,
        SagaCommands commands,
        string none
    )
        where T : class
    {
        var isOpen = await GenerationDesk.HasOpenAsync(context);
        await commands.LeaveAsync(context, isOpen ? $"The generation is {context.Saga.CurrentState}." : none);
    }

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
        SagaCommands commands,
        string none
    )
        where T : class
    {
        correlation.CorrelateById(context => id(context.Message));
        correlation.OnMissingInstance(missing => // A person asked, and gets an answer.
            missing.ExecuteAsync(x => commands.LeaveUnknownAsync(x, none))
        );
    }
}
