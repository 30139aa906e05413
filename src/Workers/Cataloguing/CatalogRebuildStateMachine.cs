using MassTransit;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Cataloguing;

/// <summary>
/// One rebuild, from its first page to its sweep. Read the constructor as the table in docs/catalog.md; a test holds
/// the two together.
/// </summary>
internal sealed class CatalogRebuildStateMachine : MassTransitStateMachine<CatalogRebuildSaga>
{
    public CatalogRebuildStateMachine(CatalogRebuildDesk desk, SagaCommands commands)
    {
        InstanceState(x => x.CurrentState);
        Event(() => Begun, x => x.CorrelateById(m => m.Message.RebuildId));
        Event(() => Listed, x => Correlate(x, m => m.RebuildId));
        Event(() => Failed, x => Correlate(x, m => m.RebuildId));
        Event(() => Swept, x => Correlate(x, m => m.RebuildId));
        Event(
            () => CancelAsked,
            x =>
            {
                x.CorrelateById(m => m.Message.RebuildId);
                // A person asked, and gets an answer.
                x.OnMissingInstance(missing =>
                    missing.ExecuteAsync(m => commands.RefuseUnknownAsync(m, "rebuildId: there is no such rebuild."))
                );
            }
        );

        Initially(When(Begun).ThenAsync(desk.BeginAsync).TransitionTo(Listing));

        During(
            Listing,
            Ignore(Begun), // Delivered again.
            When(Listed)
                .IfAsync(
                    CatalogRebuildDesk.IsAllDoneAsync,
                    done => done.ThenAsync(desk.SweepAsync).TransitionTo(Sweeping)
                ),
            When(Failed).ThenAsync(x => desk.EndAsync(x, Outcomes.Failed, x.Message.Reason)).TransitionTo(Abandoned),
            Ignore(Swept),
            Cancel(desk, commands)
        );

        During(
            Sweeping,
            Ignore(Begun),
            Ignore(Listed),
            Ignore(Failed), // Every part is listed; nothing asks the store any more.
            When(Swept)
                .IfAsync(
                    CatalogRebuildDesk.IsAllDoneAsync,
                    done =>
                        done.ThenAsync(x => desk.EndAsync(x, Outcomes.Applied, reason: null)).TransitionTo(Completed)
                ),
            Cancel(desk, commands)
        );

        During(
            [Completed, Abandoned, Cancelled],
            Ignore(Begun),
            Ignore(Listed),
            Ignore(Failed),
            Ignore(Swept),
            When(CancelAsked).LeaveAsItIs(commands, x => $"The rebuild is {x.CurrentState}.")
        );
    }

    public State Listing { get; } = null!;
    public State Sweeping { get; } = null!;
    public State Completed { get; } = null!;
    public State Abandoned { get; } = null!;
    public State Cancelled { get; } = null!;

    public Event<BeginRebuild> Begun { get; } = null!;
    public Event<PartListed> Listed { get; } = null!;
    public Event<ListingFailed> Failed { get; } = null!;
    public Event<CatalogSwept> Swept { get; } = null!;
    public Event<CancelRebuild> CancelAsked { get; } = null!;

    private EventActivityBinder<CatalogRebuildSaga, CancelRebuild> Cancel(
        CatalogRebuildDesk desk,
        SagaCommands commands
    ) =>
        When(CancelAsked)
            .IfNew(
                commands,
                x =>
                    x.ThenAsync(y => desk.EndAsync(y, Outcomes.Superseded, CatalogRebuildDesk.CancelledReason))
                        .ThenAsync(commands.ApplyAsync)
                        .TransitionTo(Cancelled)
            );

    private static void Correlate<T>(IEventCorrelationConfigurator<CatalogRebuildSaga, T> correlation, Func<T, Guid> id)
        where T : class
    {
        correlation.CorrelateById(context => id(context.Message));
        correlation.OnMissingInstance(missing => missing.Discard()); // Of a rebuild that was never begun here.
    }
}
