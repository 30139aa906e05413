using Npgsql;
using NpgsqlTypes;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Images;

/// <summary>Begins deletions in the lane's transaction, so that there is none without its cause and no cause without it.</summary>
internal static class DeletionQueue
{
    private const string InsertSql = """
        insert into pipeline.deletions
            (correlation_id, current_state, kind, project_id, image_id, object_key, command_id, attempt, failures,
             due_at, purged_keys, created_at, updated_at)
        values ($1, 'Tombstoned', $2, $3, $4, $5, $6, 0, 0, $7, 0, $8, $8)
        on conflict do nothing
        """;

    /// <summary>The purge of a deleted picture's objects.</summary>
    /// <returns>The deletion's id.</returns>
    public static Guid AddImage(LaneTransaction transaction, LaneEntry entry, Guid imageId, TimeSpan grace) =>
        Add(transaction, entry, "image", imageId, objectKey: null, grace);

    /// <summary>The purge of a deleted project's objects.</summary>
    /// <returns>The deletion's id.</returns>
    public static Guid AddProject(LaneTransaction transaction, LaneEntry entry, TimeSpan grace) =>
        Add(transaction, entry, "project", imageId: null, objectKey: null, grace);

    /// <summary>The purge of one object that no row is to show. Where a row shows it after all, it is left alone.</summary>
    public static void AddObject(
        LaneTransaction transaction,
        LaneEntry entry,
        Guid imageId,
        string objectKey,
        TimeSpan grace
    ) => Add(transaction, entry, "object", imageId, objectKey, grace);

    private static Guid Add(
        LaneTransaction transaction,
        LaneEntry entry,
        string kind,
        Guid? imageId,
        string? objectKey,
        TimeSpan grace
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
            transaction.Now
        );
        return id;
    }

    private static NpgsqlParameter Nullable(object? value, NpgsqlDbType type) =>
        new() { Value = value ?? DBNull.Value, NpgsqlDbType = type };
}
