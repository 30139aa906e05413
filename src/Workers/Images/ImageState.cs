using Npgsql;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Images;

/// <summary>What the lane's commands need to know of a picture.</summary>
/// <remarks><c>Place</c> is null for a picture that is saved for the first time in the batch at hand.</remarks>
internal sealed record ImageState(
    Guid Id,
    Guid ProjectId,
    string? SceneId,
    int? SceneIndex,
    int Slot,
    int Version,
    string ObjectKey,
    string Sha256,
    bool IsStored,
    bool IsPlaced,
    long ProjectVersion,
    DateTimeOffset? DeletedAt,
    long? Place
)
{
    /// <summary>For a select list or a <c>returning</c>; <see cref="Read"/> reads them.</summary>
    public const string Columns =
        "id, project_id, scene_id, scene_index, slot, version, object_key, sha256, object_seen, placed, project_version, "
        + "deleted_at, place";

    /// <summary>Where a query's further columns begin.</summary>
    public const int ColumnCount = 13;

    public static ImageState Read(NpgsqlDataReader row) =>
        new(
            row.GetGuid(0),
            row.GetGuid(1),
            row.IsDBNull(2) ? null : row.GetString(2),
            row.IsDBNull(3) ? null : row.GetInt32(3),
            row.GetInt32(4),
            row.GetInt32(5),
            row.GetString(6),
            row.GetString(7),
            row.GetBoolean(8),
            row.GetBoolean(9),
            row.GetInt64(10),
            row.IsDBNull(11) ? null : row.GetFieldValue<DateTimeOffset>(11),
            row.GetInt64(12)
        );

    /// <returns><c>scene</c>, <c>object</c>, <c>scene and object</c>, or null where nothing is missing.</returns>
    public static string? Missing(bool isSceneThere, bool isStored) =>
        (isSceneThere, isStored) switch
        {
            (true, true) => null,
            (false, true) => "scene",
            (true, false) => "object",
            (false, false) => "scene and object",
        };

    /// <summary>The event that tells where the picture stands: <c>image-saved</c> or <c>image-unplaced</c>.</summary>
    /// <param name="command">The command that brought it there.</param>
    /// <param name="at">UTC.</param>
    /// <param name="isSceneThere">Whether the wanted scene exists, or none is wanted.</param>
    public Announcement Announce(CommandKey command, DateTimeOffset at, bool isSceneThere) =>
        IsPlaced
            ? Announcement.Of(
                command,
                new ImageSaved(command.CommandId, ProjectId, ProjectVersion, Id, Version, SceneId, Slot, ObjectKey, at),
                Id.ToString()
            )
            : Announcement.Of(
                command,
                new ImageUnplaced(
                    command.CommandId,
                    ProjectId,
                    ProjectVersion,
                    Id,
                    SceneId,
                    SceneIndex,
                    Slot,
                    ObjectKey,
                    Missing(isSceneThere, IsStored) ?? "scene",
                    at
                ),
                Id.ToString()
            );
}
