using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Saving;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Saving;

/// <summary>
/// A save that failed and is replayed may come after a picture that was saved later into the same scene and slot. Shown
/// behind that one it would look newer than it is, so it is not shown at all: it is superseded.
/// </summary>
internal static class SlotOrder
{
    private const string OvertakenSql = """
        select w.position
        from unnest($1, $2, $3, $4, $5, $6, $7) as w (position, project_id, image_id, scene_id, scene_index, slot, place)
        where exists (
            select from pipeline.images i
            where i.project_id = w.project_id and i.slot = w.slot and i.place > w.place and i.deleted_at is null
                and i.id <> w.image_id and i.scene_id is not distinct from w.scene_id
                and (w.scene_id is not null or i.scene_index is not distinct from w.scene_index))
        """;

    /// <summary>Positions in the run of replayed saves that a picture in the database has overtaken.</summary>
    /// <param name="transaction">The lane's.</param>
    /// <param name="run">Saves; those that are not replayed are not looked at, and cost nothing.</param>
    /// <param name="scenes">Where each of them leads.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    public static async Task<HashSet<int>> OvertakenAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        SceneLookup[] scenes,
        CancellationToken cancellation
    )
    {
        var replayed = Enumerable.Range(0, run.Count).Where(x => run[x].Place is not null).ToArray();
        if (replayed.Length == 0)
            return [];

        object[] parameters =
        [
            replayed,
            replayed.Select(x => run[x].ProjectId).ToArray(),
            replayed.Select(x => run[x].As<SaveImage>().ImageId).ToArray(),
            new NpgsqlParameter
            {
                Value = replayed.Select(x => scenes[x].SceneId).ToArray(),
                NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
            },
            replayed.Select(x => scenes[x].Index).ToArray(),
            replayed.Select(x => run[x].As<SaveImage>().Slot).ToArray(),
            replayed.Select(x => run[x].Place!.Value).ToArray(),
        ];
        await using var row = await transaction.ReadAsync([(OvertakenSql, parameters)], cancellation);
        var overtaken = new HashSet<int>();
        while (await row.ReadAsync(cancellation))
            overtaken.Add(row.GetInt32(0));
        return overtaken;
    }

    /// <summary>True where a picture that is saved in the same run is newer than a replayed save of its scene and slot.</summary>
    public static bool Overtakes(ImageState image, LaneEntry save, SceneLookup scene) =>
        image.ProjectId == save.ProjectId
        && image.Slot == save.As<SaveImage>().Slot
        && scene.IsSceneOf(image)
        && save.IsOlderThan(image.Place);
}
