using Npgsql;
using NpgsqlTypes;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Images;

/// <summary>Begins deletions in the lane's transaction, so that there is none without its cause and no cause without it.</summary>
internal static class DeletionQueue
{
    // URLs of bytes that were shown until now work until they expire. Where the same object is to go for another reason
    // as well, the later time counts.
    private const string InsertSql = """
        insert into pipeline.deletions
            (correlation_id, current_state, kind, project_id, image_id, object_key, command_id, attempt, failures,
             due_at, purged_keys, created_at, updated_at)
        values ($1, 'Tombstoned', $2, $3, $4, $5, $6, 0, 0,
            greatest($7,
                case when $9 then (select max(u.expires_at) from pipeline.image_urls u where u.image_id = $4) end,
                (select max(d.due_at) from pipeline.deletions d
                 where d.object_key = $5 and d.current_state = 'Tombstoned')),
            0, $8, $8)
        on conflict do nothing
        """;

    /// <summary>The purge of a deleted picture's objects.</summary>
    /// <returns>The deletion's id.</returns>
    public static Guid AddImage(LaneTransaction transaction, LaneEntry entry, Guid imageId, TimeSpan grace) =>
        Add(transaction, entry, "image", imageId, objectKey: null, grace, wasShown: false);

    /// <summary>The purge of a deleted project's objects.</summary>
    /// <returns>The deletion's id.</returns>
    public static Guid AddProject(LaneTransaction transaction, LaneEntry entry, TimeSpan grace) =>
        Add(transaction, entry, "project", imageId: null, objectKey: null, grace, wasShown: false);

    /// <summary>The purge of one object that no row is to show. Where a row shows it after all, it is left alone.</summary>
    public static void AddObject(
        LaneTransaction transaction,
        LaneEntry entry,
        Guid imageId,
        string objectKey,
        TimeSpan grace
    ) => Add(transaction, entry, "object", imageId, objectKey, grace, wasShown: false);

    /// <summary>The same for the object that the picture has shown until now: not before the last of its URLs expires.</summary>
    public static void AddShown(
        LaneTransaction transaction,
        LaneEntry entry,
        Guid imageId,
        string objectKey,
        TimeSpan grace
    ) => Add(transaction, entry, "object", imageId, objectKey, grace, wasShown: true);

    private static Guid Add(
        LaneTransaction transaction,
        LaneEntry entry,
        string kind,
        Guid? imageId,
        string? objectKey,
        TimeSpan grace,
        bool wasShown
    )
    {
        var id = entry.Key.Derive($"deletion {objectKey}");
        transaction.Write(
            InsertSql,
            id,
            kind,
            entry.ProjectId,
            Nullable(imageId, NpgsqlDbType.Uuid),
            Nullable(objectKey, NpgsqlDbType.Text),
            entry.CommandId,
            transaction.Now + grace,
            transaction.Now,
            wasShown
        );
        return id;
    }

    private static NpgsqlParameter Nullable(object? value, NpgsqlDbType type) =>
        new() { Value = value ?? DBNull.Value, NpgsqlDbType = type };
}
