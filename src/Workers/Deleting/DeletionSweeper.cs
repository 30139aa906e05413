using Npgsql;
using Pipeline.Contracts.Deleting;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Deleting;

/// <summary>
/// Finds deletions whose time has come, and steps of which nothing was heard for too long, and tells the saga.
/// </summary>
/// <remarks>
/// Runs in every process. It changes no saga: it sends the attempt that it saw, and the saga compares. A row is claimed
/// by the sweep that sees it, so that a message goes out once and not once a process. Sending a step again is no
/// rescue of a slow worker: steps are safe to repeat, and a message that is alive is answered first.
/// </remarks>
internal sealed partial class DeletionSweeper(
    NpgsqlDataSource source,
    DeletionOptions options,
    TimeProvider clock,
    ILogger<DeletionSweeper> logger
) : Sweeper(options.SweepEvery, clock, logger)
{
    private const int BatchLimit = 200;

    // A claim hides a row from the other sweeps for so long; should its message be lost, it is found again.
    private static readonly TimeSpan ClaimLength = TimeSpan.FromSeconds(30);

    private const string DueSql = """
        update pipeline.deletions set due_at = now() + $2
        where correlation_id in (
            select correlation_id from pipeline.deletions where due_at <= now()
            order by due_at limit $1 for update skip locked)
        returning correlation_id, attempt
        """;

    private const string StaleSql = """
        update pipeline.deletions set updated_at = now()
        where correlation_id in (
            select correlation_id from pipeline.deletions
            where current_state in ('Purging', 'Verifying', 'Invalidating') and due_at is null
                and updated_at <= now() - $2
            order by updated_at limit $1 for update skip locked)
        returning correlation_id, attempt
        """;

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        await SweepAsync(DueSql, ClaimLength, stopping);
        await SweepAsync(StaleSql, options.StaleAfter, stopping);
    }

    private async Task SweepAsync(string sql, TimeSpan length, CancellationToken stopping)
    {
        await using var connection = await source.OpenConnectionAsync(stopping);
        await using var transaction = await connection.BeginTransactionAsync(stopping);
        var found = new List<WireMessage>();
        await using (var command = new NpgsqlCommand(sql, connection, transaction))
        {
            command.Parameters.AddWithValue(BatchLimit);
            command.Parameters.AddWithValue(length);
            await using var row = await command.ExecuteReaderAsync(stopping);
            while (await row.ReadAsync(stopping))
                found.Add(DeletionMessages.Due(row.GetGuid(0), row.GetInt32(1)));
        }

        await Outbox.AppendAsync(connection, transaction, found, stopping);
        await transaction.CommitAsync(stopping);
    }
}
