using Npgsql;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Deleting;

/// <summary>
/// The moment from which a deletion cannot be taken back. It is decided under the lock of the project's row, which
/// every write of the project holds: whoever restores or shows something comes before it, or finds that it has begun.
/// </summary>
/// <param name="Kind">How it was decided.</param>
/// <param name="HeldUntil">When to look again, where a queued command counts on the object.</param>
internal sealed record PurgeBeginning(PurgeBeginning.Kinds Kind, DateTimeOffset? HeldUntil)
{
    internal enum Kinds
    {
        /// <summary>Nothing shows the bytes, and nothing ever will.</summary>
        Begun,

        /// <summary>It was restored, or a row names the object again.</summary>
        TakenBack,

        /// <summary>A save or replacement counts on the object: it is queued, or has failed and may be replayed.</summary>
        Held,
    }

    // When a held object is looked at again: soon at first, since its command may be decided any moment, then after a
    // tenth of the time that the deletion has waited. A failed command may wait for a person for days.
    private static readonly TimeSpan HoldPauseFirst = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan HoldPauseLimit = TimeSpan.FromMinutes(10);

    private const string LockSql = "select from pipeline.projects where id = $1 for update";

    private const string ImageSql = """
        with begun as (
            update pipeline.images set purge_started_at = $3
            where id = $1 and deletion_id = $2 and deleted_at is not null and purge_started_at is null
            returning id, object_key),
        awaited as (delete from pipeline.image_replacements r using begun b where r.image_id = b.id returning r.object_key),
        keys as (
            insert into pipeline.deletion_keys (deletion_id, key)
            select $2, object_key from begun union select $2, object_key from awaited on conflict do nothing)
        select count(*) from begun
        """;

    private const string ProjectSql = """
        with begun as (
            update pipeline.projects set purge_started_at = $3
            where id = $1 and deletion_id = $2 and deleted_at is not null and purge_started_at is null returning id),
        pictures as (
            update pipeline.images i set purge_started_at = coalesce(i.purge_started_at, $3)
            from begun b where i.project_id = b.id returning i.id, i.object_key),
        awaited as (
            delete from pipeline.image_replacements r using begun b where r.project_id = b.id returning r.object_key),
        keys as (
            insert into pipeline.deletion_keys (deletion_id, key)
            select $2, object_key from pictures union select $2, object_key from awaited on conflict do nothing)
        select count(*) from begun
        """;

    // A tombstone that can still be restored names its object too. A key that was given up shows nothing, whatever
    // names it.
    private const string NamedSql = """
        select (exists (select from pipeline.images where id = $1 and object_key = $2 and purge_started_at is null)
                or exists (select from pipeline.image_replacements where image_id = $1 and object_key = $2))
            and not exists (select from pipeline.purged_objects where key = $2)
        """;

    // The same bytes were shown again and replaced since: their URLs work until that later time.
    private const string LaterSql = """
        select max(due_at) from pipeline.deletions
        where object_key = $1 and current_state = 'Tombstoned' and correlation_id <> $2 and due_at > $3
        """;

    private const string HeldSql = "select exists (select from pipeline.held_objects where key = $1)";

    private const string ObjectSql = """
        with gone as (delete from pipeline.catalog_objects where key = $2),
        purged as (
            insert into pipeline.purged_objects (key, image_id, purged_at) values ($2, $1, $4) on conflict do nothing)
        insert into pipeline.deletion_keys (deletion_id, key) values ($3, $2) on conflict do nothing
        """;

    public static async Task<PurgeBeginning> OfAsync(
        PipelineDbContext db,
        DeletionSaga saga,
        DateTimeOffset now,
        CancellationToken cancellation
    )
    {
        await AskAsync(db, LockSql, cancellation, saga.ProjectId);
        return saga.Kind switch
        {
            DeletionSaga.Image => await AskAsync(db, ImageSql, cancellation, saga.ImageId!, saga.CorrelationId, now)
                is 1L
                ? new PurgeBeginning(Kinds.Begun, HeldUntil: null)
                : new PurgeBeginning(Kinds.TakenBack, HeldUntil: null),
            DeletionSaga.Project => await AskAsync(
                db,
                ProjectSql,
                cancellation,
                saga.ProjectId,
                saga.CorrelationId,
                now
            )
                is 1L
                ? new PurgeBeginning(Kinds.Begun, HeldUntil: null)
                : new PurgeBeginning(Kinds.TakenBack, HeldUntil: null),
            _ => await OfObjectAsync(db, saga, now, cancellation),
        };
    }

    private static async Task<PurgeBeginning> OfObjectAsync(
        PipelineDbContext db,
        DeletionSaga saga,
        DateTimeOffset now,
        CancellationToken cancellation
    )
    {
        var (imageId, key) = (saga.ImageId!.Value, saga.ObjectKey!);
        await ObjectCatalog.LockAsync(db.Connection(), imageId, cancellation);
        if (await AskAsync(db, NamedSql, cancellation, imageId, key) is true)
            return new PurgeBeginning(Kinds.TakenBack, HeldUntil: null);
        if (await AskAsync(db, LaterSql, cancellation, key, saga.CorrelationId, now) is DateTime later)
            return new PurgeBeginning(Kinds.Held, new DateTimeOffset(later));
        if (await AskAsync(db, HeldSql, cancellation, key) is true)
            return new PurgeBeginning(Kinds.Held, now + HoldPause(now - saga.CreatedAt));

        await AskAsync(db, ObjectSql, cancellation, imageId, key, saga.CorrelationId, now);
        return new PurgeBeginning(Kinds.Begun, HeldUntil: null);
    }

    private static TimeSpan HoldPause(TimeSpan waited) =>
        TimeSpan.FromTicks(Math.Clamp((waited / 10).Ticks, HoldPauseFirst.Ticks, HoldPauseLimit.Ticks));

    private static async Task<object?> AskAsync(
        PipelineDbContext db,
        string sql,
        CancellationToken cancellation,
        params object[] values
    )
    {
        await using var command = new NpgsqlCommand(sql, db.Connection(), db.Transaction());
        foreach (var value in values)
            command.Parameters.AddWithValue(value);
        return await command.ExecuteScalarAsync(cancellation);
    }
}
