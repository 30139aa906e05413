using MassTransit;
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

    private const string IsDue = "due_at <= now()";

    private const string IsStale = """
        current_state in ('Purging', 'Verifying', 'Invalidating') and due_at is null and updated_at <= now() - $2
        """;

    // The times that make a row due stay as they are: the saga compares them.
    private const string DueSql = $"""
        update pipeline.deletions set swept_at = now()
        where correlation_id in (
            select correlation_id from pipeline.deletions
            where {IsDue} and (swept_at is null or swept_at < due_at or swept_at <= now() - $2)
            order by due_at limit $1 for update skip locked)
        returning correlation_id, attempt
        """;

    private const string StaleSql = $"""
        update pipeline.deletions set swept_at = now()
        where correlation_id in (
            select correlation_id from pipeline.deletions
            where {IsStale} and (swept_at is null or swept_at <= now() - $2)
            order by updated_at limit $1 for update skip locked)
        returning correlation_id, attempt
        """;

    private const string CheckSql = $"""
        select exists (select from pipeline.deletions where correlation_id = $1 and ({IsDue} or {IsStale}))
        """;

    /// <summary>
    /// Asks in the saga's transaction for what the sweep has found, by the database's clock: a message that comes
    /// early, or once more, or that no sweep has sent, has no effect.
    /// </summary>
    public static async Task<bool> IsDueAsync(BehaviorContext<DeletionSaga, DeletionDue> context, TimeSpan staleAfter)
    {
        var db = context.GetPayload<PipelineDbContext>();
        await using var check = new NpgsqlCommand(CheckSql, db.Connection(), db.Transaction());
        check.Parameters.AddWithValue(context.Saga.CorrelationId);
        check.Parameters.AddWithValue(staleAfter);
        return await check.ExecuteScalarAsync(context.CancellationToken) is true;
    }

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
