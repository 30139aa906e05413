using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>Ends commands in a transaction of their own; one that has its receipt is answered the same again.</summary>
internal sealed class CommandAnswers(NpgsqlDataSource source, TimeProvider clock)
{
    /// <summary>Looks for the command's receipt and, where it stands, queues its answer again.</summary>
    /// <param name="request">The delivery.</param>
    /// <param name="cancellation">Ends the wait for the database.</param>
    /// <returns>True where it stands: do no more. False: the command is to be carried out.</returns>
    public async Task<bool> RecallAsync(CommandRequest request, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var at = clock.GetDatabaseNow();
        if (!await CommandReceipts.RecallAsync(connection, transaction, request, at, cancellation))
            return false;
        await transaction.CommitAsync(cancellation);
        return true;
    }

    /// <summary>Rejects a command that breaks a rule.</summary>
    /// <param name="request">The delivery.</param>
    /// <param name="reason">Names the rule, for people.</param>
    /// <param name="cancellation">Ends the wait for the database.</param>
    public Task RefuseAsync(CommandRequest request, string reason, CancellationToken cancellation) =>
        EndAsync(
            request,
            Outcomes.Rejected,
            reason,
            [CommandReceipts.Rejection(request, reason, clock.GetUtcNow())],
            cancellation
        );

    /// <summary>Writes a receipt, what belongs to it, and queues what follows from it.</summary>
    /// <param name="request">The delivery.</param>
    /// <param name="outcome">One of <see cref="Outcomes"/>.</param>
    /// <param name="reason">For people; null where the outcome says it all.</param>
    /// <param name="announcements">Events, and commands that follow from this one.</param>
    /// <param name="cancellation">Ends the wait for the database.</param>
    /// <param name="record">Rows that commit with the receipt; not called where the command has one already.</param>
    public async Task EndAsync(
        CommandRequest request,
        string outcome,
        string? reason,
        IReadOnlyList<Announcement> announcements,
        CancellationToken cancellation,
        Func<NpgsqlConnection, NpgsqlTransaction, Task>? record = null
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var at = clock.GetDatabaseNow();
        if (!await CommandReceipts.RecallAsync(connection, transaction, request, at, cancellation))
        {
            if (
                !await CommandReceipts.EndAsync(
                    connection,
                    transaction,
                    request,
                    outcome,
                    reason,
                    announcements,
                    at,
                    cancellation
                )
            )
                return; // Another delivery was first, and has given the answer.
            if (record is not null)
                await record(connection, transaction);
        }

        await transaction.CommitAsync(cancellation);
    }
}
