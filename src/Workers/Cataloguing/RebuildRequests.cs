using Npgsql;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Who asked for a rebuild, and the slot that keeps a bucket from having two at once.</summary>
internal sealed class RebuildRequests(StorageOptions storage, TimeProvider clock) : RowCommandHandler<RebuildCatalog>
{
    private const string KnownSql =
        "select 1 from pipeline.catalog_rebuild_requests where command_id = $1 and scope = $2";

    private const string ClaimSql = """
        with claimed as (
            insert into pipeline.catalog_rebuild_slots (bucket, rebuild_id) values ($1, $2)
            on conflict (bucket) do nothing returning rebuild_id)
        select rebuild_id from claimed union all select rebuild_id from pipeline.catalog_rebuild_slots where bucket = $1
        """;

    private const string BegunSql = "select 1 from pipeline.catalog_rebuilds where correlation_id = $1";

    private const string JoinSql = """
        insert into pipeline.catalog_rebuild_requests (command_id, rebuild_id, joined, replays, scope)
        values ($1, $2, $3, $4, $5)
        """;

    private const string FreeSql = "delete from pipeline.catalog_rebuild_slots where rebuild_id = $1";

    private const string AskedSql = """
        select command_id, joined, replays, scope from pipeline.catalog_rebuild_requests
        where rebuild_id = $1 order by created_at
        """;

    /// <summary>Takes a request in: it begins a rebuild of the bucket, or joins the one that runs.</summary>
    protected override async Task<Decision?> DecideAsync(CommandWork work, RebuildCatalog command)
    {
        var (request, bucket) = (work.Request, storage.Bucket);
        await LockAsync(work.Connection, bucket, work.Cancellation);
        if (await AskAsync(work, KnownSql, request.CommandId, request.Scope) is not null)
            return null;

        var own = request.Key.Derive("catalog-rebuild");
        var running = (Guid)(await AskAsync(work, ClaimSql, bucket, own))!;
        await AskAsync(work, JoinSql, request.CommandId, running, running != own, request.Replays, request.Scope);
        // Whoever joins one that has not begun asks for its beginning again: that message may be a dead letter.
        if (await AskAsync(work, BegunSql, running) is null)
            await work.SendAsync(RebuildMessages.ToWire(new BeginRebuild(running, bucket), running));
        return null;
    }

    /// <summary>Frees the bucket's slot and answers everyone who asked, in the saga's transaction.</summary>
    public async Task EndAsync(
        PipelineDbContext db,
        CatalogRebuildSaga saga,
        string outcome,
        string? reason,
        CancellationToken cancellation
    )
    {
        var at = clock.GetDatabaseNow();
        var told = Tell(saga, outcome, reason, at);
        await LockAsync(db.Connection(), saga.Bucket, cancellation);
        var asked = await AskedAsync(db, saga, cancellation);
        await using (var free = new NpgsqlCommand(FreeSql, db.Connection(), db.Transaction()))
        {
            free.Parameters.AddWithValue(saga.CorrelationId);
            await free.ExecuteNonQueryAsync(cancellation);
        }

        foreach (var (request, joined) in asked)
        {
            var which = joined ? $"Joined rebuild {saga.CorrelationId}" : $"Rebuild {saga.CorrelationId}";
            var said = reason ?? $"{saga.Keys} objects listed, {saga.Removed} entries removed.";
            var end = new Decision(outcome, $"{which}: {said}") { Announcements = [told] };
            await CommandWork.In(db, request, at, cancellation).EndAsync(end, isTakenBack: true);
        }
    }

    // One event for all who asked: derived from the rebuild, so that its repetitions are known as such.
    private static Announcement Tell(CatalogRebuildSaga saga, string outcome, string? reason, DateTimeOffset at) =>
        outcome == Outcomes.Applied
            ? Announcement.OfCause(
                saga.CorrelationId,
                new CatalogRebuilt(saga.CorrelationId, saga.Bucket, saga.Keys, saga.Removed, saga.StartedAt, at)
            )
            : Announcement.OfCause(
                saga.CorrelationId,
                new CatalogRebuildEnded(saga.CorrelationId, saga.Bucket, outcome, reason ?? "", at)
            );

    private static async Task<List<(CommandRequest Request, bool Joined)>> AskedAsync(
        PipelineDbContext db,
        CatalogRebuildSaga saga,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(AskedSql, db.Connection(), db.Transaction());
        command.Parameters.AddWithValue(saga.CorrelationId);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var asked = new List<(CommandRequest, bool)>();
        while (await row.ReadAsync(cancellation))
        {
            // The command has nothing but its id.
            var request = CommandRequest.Of(new RebuildCatalog(row.GetGuid(0)), row.GetInt32(2), sender: null) with
            {
                Scope = row.GetGuid(3),
            };
            asked.Add((request, row.GetBoolean(1)));
        }

        return asked;
    }

    // Two requests, and a request and the end of a rebuild, wait for each other.
    private static Task LockAsync(NpgsqlConnection connection, string bucket, CancellationToken cancellation) =>
        AdvisoryLock.Of(LockUse.CatalogRebuild, bucket).TakeAsync(connection, cancellation);

    private static async Task<object?> AskAsync(CommandWork work, string sql, params object[] values)
    {
        await using var statement = work.Statement(sql, values);
        return await statement.ExecuteScalarAsync(work.Cancellation);
    }
}
