using MassTransit;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>
/// A saga whose work belongs to one project; commands to it are listed under that project. Commands to other sagas are
/// listed under the project that they name themselves.
/// </summary>
internal interface IProjectSaga
{
    /// <summary>The project.</summary>
    Guid ProjectId { get; }
}

/// <summary>
/// Receipts of people's commands to sagas, in the saga's transaction. A machine takes each such command with
/// <see cref="SagaCommandBinder.IfNew"/>, so that one which has its receipt is answered again and has no effect: an old
/// cancellation that is delivered again must not stop what was begun since.
/// </summary>
internal sealed class SagaCommands(TimeProvider clock)
{
    /// <summary>Looks for the command's receipt and, where there is one, queues its answer again.</summary>
    /// <returns>True where the command is to be carried out.</returns>
    public Task<bool> IsNewAsync<TSaga, T>(BehaviorContext<TSaga, T> context)
        where TSaga : class, SagaStateMachineInstance
        where T : class => IsNewAsync(context, ProjectOf(context));

    /// <summary>The receipt of a command that took effect.</summary>
    public Task ApplyAsync<TSaga, T>(BehaviorContext<TSaga, T> context)
        where TSaga : class, SagaStateMachineInstance
        where T : class => EndAsync(context, ProjectOf(context), Decision.Applied());

    /// <summary>The receipt of a command that found nothing to do.</summary>
    /// <param name="context">The command and its saga.</param>
    /// <param name="reason">For people.</param>
    public Task LeaveAsync<TSaga, T>(BehaviorContext<TSaga, T> context, string reason)
        where TSaga : class, SagaStateMachineInstance
        where T : class => EndAsync(context, ProjectOf(context), Decision.Unchanged(reason));

    /// <summary>The receipt of a command whose saga is not there.</summary>
    /// <param name="context">The command, in a transaction as if the saga were there.</param>
    /// <param name="reason">For people.</param>
    public Task RefuseUnknownAsync<T>(ConsumeContext<T> context, string reason)
        where T : class => EndUnknownAsync(context, Decision.Rejected(reason));

    /// <summary>
    /// The same for a sender that must not learn whether the saga is there: the receipt says what it also says where
    /// the saga is there and none of the sender's business.
    /// </summary>
    /// <param name="context">The command, in a transaction as if the saga were there.</param>
    /// <param name="reason">For people.</param>
    public Task LeaveUnknownAsync<T>(ConsumeContext<T> context, string reason)
        where T : class => EndUnknownAsync(context, Decision.Unchanged(reason));

    private async Task EndUnknownAsync<T>(ConsumeContext<T> context, Decision decision)
        where T : class
    {
        if (await IsNewAsync(context, projectId: null))
            await EndAsync(context, projectId: null, decision);
    }

    private async Task<bool> IsNewAsync<T>(ConsumeContext<T> context, Guid? projectId)
        where T : class => await WorkOf(context, projectId).RecallAsync() is null;

    private async Task EndAsync<T>(ConsumeContext<T> context, Guid? projectId, Decision decision)
        where T : class
    {
        var work = WorkOf(context, projectId);
        // Under the same id for another saga: no row of a saga keeps the two apart, and this one's effect is undone.
        if (!await work.EndAsync(decision))
            throw new ReceiptRaceException(work.Request.CommandId);
    }

    private static Guid? ProjectOf<TSaga, T>(BehaviorContext<TSaga, T> context)
        where TSaga : class, SagaStateMachineInstance
        where T : class => (context.Saga as IProjectSaga)?.ProjectId;

    private CommandWork WorkOf<T>(ConsumeContext<T> context, Guid? projectId)
        where T : class
    {
        var request = CommandRequest.Of(context);
        request = projectId is { } id ? request with { ProjectId = id } : request;
        var db = context.GetPayload<PipelineDbContext>();
        return CommandWork.In(db, request, clock.GetDatabaseNow(), context.CancellationToken);
    }
}

/// <summary>How state machines take commands.</summary>
internal static class SagaCommandBinder
{
    /// <summary>Goes on only with a command that has no receipt yet.</summary>
    public static EventActivityBinder<TSaga, T> IfNew<TSaga, T>(
        this EventActivityBinder<TSaga, T> asked,
        SagaCommands commands,
        Func<EventActivityBinder<TSaga, T>, EventActivityBinder<TSaga, T>> then
    )
        where TSaga : class, SagaStateMachineInstance
        where T : class => asked.IfAsync(commands.IsNewAsync, then);

    /// <summary>Answers <c>unchanged</c> with the reason: the command comes too late, or finds nothing to do.</summary>
    public static EventActivityBinder<TSaga, T> LeaveAsItIs<TSaga, T>(
        this EventActivityBinder<TSaga, T> asked,
        SagaCommands commands,
        Func<TSaga, string> reason
    )
        where TSaga : class, SagaStateMachineInstance
        where T : class => asked.IfNew(commands, x => x.ThenAsync(y => commands.LeaveAsync(y, reason(y.Saga))));
}
