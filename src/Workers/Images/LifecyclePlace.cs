using Npgsql;
using NpgsqlTypes;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Images;

/// <summary>
/// The place of the last word on whether an image or a project exists: a save, a deletion or a restoration. One that
/// failed and is replayed after a newer word is superseded, as it would have been in its order. A word that changed
/// nothing counts too: who restores what was never deleted wants it kept.
/// </summary>
internal static class LifecyclePlace
{
    public const string OlderReason = "It has been saved, deleted or restored since.";

    private const string ImageSql = """
        update pipeline.images set lifecycle_place = coalesce($2, nextval('pipeline.places')) where id = $1
        """;

    private const string ProjectSql = """
        update pipeline.projects set lifecycle_place = coalesce($2, nextval('pipeline.places')) where id = $1
        """;

    private const string OfProjectSql = "select lifecycle_place from pipeline.projects where id = $1";

    /// <summary>The command is the last word on the image.</summary>
    /// <param name="transaction">The lane's.</param>
    /// <param name="entry">The command; not older than the last word.</param>
    /// <param name="imageId">Null where there is no image.</param>
    public static void OfImage(LaneTransaction transaction, LaneEntry entry, Guid? imageId)
    {
        if (imageId is { } id)
            transaction.Write(ImageSql, id, PlaceOf(entry));
    }

    /// <summary>The command is the last word on its project.</summary>
    public static void OfProject(LaneTransaction transaction, LaneEntry entry) =>
        transaction.Write(ProjectSql, entry.ProjectId, PlaceOf(entry));

    /// <summary>True where the command is replayed and its project was deleted or restored since.</summary>
    public static async Task<bool> IsOvertakenAsync(
        LaneTransaction transaction,
        LaneEntry entry,
        CancellationToken cancellation
    )
    {
        if (entry.Place is null)
            return false; // Decided for the first time: nothing is newer.
        await using var row = await transaction.ReadAsync([(OfProjectSql, [entry.ProjectId])], cancellation);
        return await row.ReadAsync(cancellation) && entry.IsOlderThan(row.GetInt64(0));
    }

    private static NpgsqlParameter PlaceOf(LaneEntry entry) =>
        new() { Value = (object?)entry.Place ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint };
}
