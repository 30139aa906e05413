using Npgsql;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>What a run has found and done.</summary>
/// <param name="Earlier">The receipt that stood before; null where the command was to be carried out.</param>
/// <param name="Decision">What was committed; null where the command was answered before, or was taken in.</param>
internal sealed record CommandRun(FoundReceipt? Earlier, Decision? Decision);

/// <summary>Carries commands out, each in a transaction with its receipt; one that has a receipt is answered again.</summary>
internal sealed partial class CommandRunner(NpgsqlDataSource source, TimeProvider clock, ILogger<CommandRunner> logger)
{
    /// <summary>Looks for the command's receipt and, where it stands, queues its answer again.</summary>
    /// <returns>True where it stands: do no more. False: the command is to be carried out.</returns>
    public async Task<bool> RecallAsync(CommandRequest request, CancellationToken cancellation) =>
        (await RunAsync(request, _ => Task.FromResult<Decision?>(null), cancellation)).Earlier is not null;

    /// <summary>Rejects a command that breaks a rule.</summary>
    /// <param name="request">The delivery.</param>
    /// <param name="reason">Names the rule, for people.</param>
    /// <param name="cancellation">Ends the wait for the database.</param>
    public Task RefuseAsync(CommandRequest request, string reason, CancellationToken cancellation) =>
        RunAsync(request, _ => Task.FromResult<Decision?>(Decision.Rejected(reason)), cancellation);

    /// <summary>Carries the command out, unless it has its receipt.</summary>
    /// <param name="request">The delivery.</param>
    /// <param name="decide">
    /// The effect, in the open transaction, which commits with the receipt. Null where the command is taken in and gets
    /// its receipt later: then the rows that say so are committed alone. It is called again where another delivery
    /// has decided the command at the same moment.
    /// </param>
    /// <param name="cancellation">Ends the wait for the database.</param>
    public async Task<CommandRun> RunAsync(
        CommandRequest request,
        Func<CommandWork, Task<Decision?>> decide,
        CancellationToken cancellation
    )
    {
        while (true)
        {
            await using var connection = await source.OpenConnectionAsync(cancellation);
            await using var transaction = await connection.BeginTransactionAsync(cancellation);
            var work = new CommandWork(connection, transaction, request, clock.GetDatabaseNow(), cancellation);
            var earlier = await work.RecallAsync();
            var decision = earlier is null ? await decide(work) : null;
            // Of two deliveries at once the second one waits here for the first one's commit. It undoes its effect, and
            // finds the first one's receipt, which may be that of another command under the same id.
            if (decision is not null && !await work.EndAsync(decision))
                continue;
            await transaction.CommitAsync(cancellation);
            if (decision is not null)
                Ended(request.Command, request.CommandId, decision.Outcome);
            return new CommandRun(earlier, decision);
        }
    }

    // Not the reason: it may quote the command, and what a log has is not erased with its project.
    [LoggerMessage(Level = LogLevel.Information, Message = "{Command} {CommandId}: {Outcome}")]
    private partial void Ended(string command, Guid commandId, string outcome);
}
