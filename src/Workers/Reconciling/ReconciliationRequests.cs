using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Reconciling;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Reconciling;

/// <summary>Begins reconciliations, one at a time for a bucket.</summary>
internal sealed class ReconciliationRequests(
    NpgsqlDataSource source,
    StorageOptions storage,
    ReconcilingOptions options,
    TimeProvider clock
)
{
    // Older findings say little of what is there now.
    private static readonly TimeSpan RepairWithin = TimeSpan.FromDays(1);

    // What a repaired one left alone is left alone again.
    private const string BeginSql = """
        insert into pipeline.reconciliations
            (id, bucket, state, repair_of, request, replays, grace, cutoff, read_bytes, lease_until, started_at, updated_at,
             scope)
        select $1, $2, $3, $4, $5, $6, coalesce(r.grace, $7), coalesce(r.cutoff, $8 - $7), $9, $8, $8, $8, $10
        from (select) one left join pipeline.reconciliations r on r.id = $4
        on conflict do nothing
        """;

    private const string OpenSql = "select id from pipeline.reconciliations where bucket = $1 and ended_at is null";

    // A reconciliation goes by its command's id, so no two senders' can have the same.
    private const string IsOthersSql = "select 1 from pipeline.reconciliations where id = $1 and scope <> $2";

    private const string RepairableSql = """
        select case
            when r.repair_of is not null then 'is a repair itself'
            when r.bucket <> $2 then 'is of another bucket'
            when r.state = 'Failed' then 'has failed'
            when r.ended_at is null then 'has not ended'
            when r.ended_at < $3 then 'has ended more than a day ago'
            when exists (select from pipeline.reconciliations x where x.repair_of = r.id and x.state <> 'Failed')
                then 'was repaired before'
        end
        from pipeline.reconciliations r where r.id = $1
        """;

    /// <summary>Begins it, or refuses it with a receipt. A second delivery changes nothing.</summary>
    public async Task TakeAsync(Reconcile command, CommandRequest request, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var at = clock.GetDatabaseNow();
        if (await CommandReceipts.RecallAsync(connection, transaction, request, at, cancellation))
        {
            await transaction.CommitAsync(cancellation);
            return;
        }

        var refusal =
            Refuse(command)
            ?? await RefuseRepairAsync(connection, transaction, command.RepairOf, at, cancellation)
            ?? await BeginAsync(connection, transaction, command, request, at, cancellation);
        if (refusal is not null)
        {
            await CommandReceipts.EndAsync(
                connection,
                transaction,
                request,
                Outcomes.Rejected,
                refusal,
                [CommandReceipts.Rejection(request, refusal, at)],
                at,
                cancellation
            );
        }

        await transaction.CommitAsync(cancellation);
    }

    private static string? Refuse(Reconcile command) =>
        command.Grace < TimeSpan.Zero || command.Grace > ReconcilingOptions.GraceMax
            ? $"grace: must be 0 to {ReconcilingOptions.GraceMax.Days} days."
            : null;

    private async Task<string?> RefuseRepairAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid? repairOf,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        if (repairOf is not { } id)
            return null;

        await using var command = new NpgsqlCommand(RepairableSql, connection, transaction);
        command.Parameters.AddWithValue(id);
        command.Parameters.AddWithValue(storage.Bucket);
        command.Parameters.AddWithValue(at - RepairWithin);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        if (!await row.ReadAsync(cancellation))
            return $"repairOf: there is no reconciliation {id}.";
        return row.IsDBNull(0) ? null : $"repairOf: reconciliation {id} {row.GetString(0)}.";
    }

    private async Task<string?> BeginAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Reconcile wish,
        CommandRequest request,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        await using var begin = new NpgsqlCommand(BeginSql, connection, transaction);
        begin.Parameters.AddWithValue(request.CommandId);
        begin.Parameters.AddWithValue(storage.Bucket);
        begin.Parameters.AddWithValue(wish.RepairOf is null ? Reconciliation.Comparing : Reconciliation.Repairing);
        begin.Parameters.Add(
            new NpgsqlParameter { Value = (object?)wish.RepairOf ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid }
        );
        begin.Parameters.AddWithValue(request.Content);
        begin.Parameters.AddWithValue(request.Replays);
        begin.Parameters.AddWithValue(wish.Grace ?? options.Grace);
        begin.Parameters.AddWithValue(at);
        begin.Parameters.AddWithValue(wish.ReadBytes);
        begin.Parameters.AddWithValue(request.Scope);
        if (await begin.ExecuteNonQueryAsync(cancellation) == 1)
            return null;

        await using var others = new NpgsqlCommand(IsOthersSql, connection, transaction);
        others.Parameters.AddWithValue(request.CommandId);
        others.Parameters.AddWithValue(request.Scope);
        if (await others.ExecuteScalarAsync(cancellation) is not null)
            return "commandId: is that of another sender's reconciliation.";

        await using var open = new NpgsqlCommand(OpenSql, connection, transaction);
        open.Parameters.AddWithValue(storage.Bucket);
        return await open.ExecuteScalarAsync(cancellation) is Guid other && other != request.CommandId
            ? $"Reconciliation {other} of this bucket runs; ask again when it has ended."
            : null;
    }
}
