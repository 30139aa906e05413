using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Reconciling;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Reconciling;

/// <summary>Begins reconciliations, one at a time for a bucket.</summary>
internal sealed class ReconcileHandler(StorageOptions storage, ReconcilingOptions options)
    : RowCommandHandler<Reconcile>
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

    private const string IsOwnSql = "select 1 from pipeline.reconciliations where id = $1";

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
    protected override async Task<Decision?> DecideAsync(CommandWork work, Reconcile command) =>
        (Refuse(command) ?? await RefuseRepairAsync(work, command.RepairOf) ?? await BeginAsync(work, command))
            is { } refusal
            ? Decision.Rejected(refusal)
            : null;

    private static string? Refuse(Reconcile command) =>
        command.Grace < TimeSpan.Zero || command.Grace > ReconcilingOptions.GraceMax
            ? $"grace: must be 0 to {ReconcilingOptions.GraceMax.Days} days."
            : null;

    private async Task<string?> RefuseRepairAsync(CommandWork work, Guid? repairOf)
    {
        if (repairOf is not { } id)
            return null;

        await using var command = work.Statement(RepairableSql, id, storage.Bucket, work.At - RepairWithin);
        await using var row = await command.ExecuteReaderAsync(work.Cancellation);
        if (!await row.ReadAsync(work.Cancellation))
            return $"repairOf: there is no reconciliation {id}.";
        return row.IsDBNull(0) ? null : $"repairOf: reconciliation {id} {row.GetString(0)}.";
    }

    private async Task<string?> BeginAsync(CommandWork work, Reconcile wish)
    {
        var request = work.Request;
        await using var begin = work.Statement(
            BeginSql,
            request.CommandId,
            storage.Bucket,
            wish.RepairOf is null ? Reconciliation.Comparing : Reconciliation.Repairing,
            new NpgsqlParameter { Value = (object?)wish.RepairOf ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid },
            request.Content,
            request.Replays,
            wish.Grace ?? options.Grace,
            work.At,
            wish.ReadBytes,
            request.Scope
        );
        if (await begin.ExecuteNonQueryAsync(work.Cancellation) == 1)
            return null;

        await using var others = work.Statement(IsOthersSql, request.CommandId, request.Scope);
        if (await others.ExecuteScalarAsync(work.Cancellation) is not null)
            return "commandId: is that of another sender's reconciliation.";

        await using var open = work.Statement(OpenSql, storage.Bucket);
        if (await open.ExecuteScalarAsync(work.Cancellation) is Guid running)
            return running != request.CommandId
                ? $"Reconciliation {running} of this bucket runs; ask again when it has ended."
                : null;

        // The one that ran has ended at this very moment: trying again begins this one.
        await using var own = work.Statement(IsOwnSql, request.CommandId);
        return await own.ExecuteScalarAsync(work.Cancellation) is null
            ? throw new ReceiptRaceException(request.CommandId)
            : null;
    }
}
