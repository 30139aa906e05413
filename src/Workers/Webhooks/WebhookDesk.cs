using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Webhooks;

/// <summary>Ends a command with effect, receipt and event in one transaction; one that comes again changes nothing.</summary>
internal sealed class WebhookDesk(NpgsqlDataSource source, TimeProvider clock)
{
    /// <param name="request">What came, without its secret.</param>
    /// <param name="rule">The rule that it breaks, if any.</param>
    /// <param name="decide">The effect, in the open transaction; it writes nothing unless it answers applied.</param>
    /// <param name="cancellation">The consumer's.</param>
    public async Task EndAsync(
        CommandRequest request,
        string? rule,
        Func<NpgsqlConnection, NpgsqlTransaction, Task<Decision>> decide,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var at = clock.GetDatabaseNow();
        if (!await CommandReceipts.RecallAsync(connection, transaction, request, at, cancellation))
        {
            var (outcome, reason) = rule is not null ? Decision.Rejected(rule) : await decide(connection, transaction);
            Announcement[] told = outcome == Outcomes.Rejected ? [CommandReceipts.Rejection(request, reason!, at)] : [];
            var isFirst = await CommandReceipts.EndAsync(
                connection,
                transaction,
                request,
                outcome,
                reason,
                told,
                at,
                cancellation
            );
            // Two deliveries at once: the second one waits here for the first one's commit, and undoes itself.
            if (!isFirst)
                throw new ReceiptRaceException(request.CommandId);
        }

        await transaction.CommitAsync(cancellation);
    }
}
