using Npgsql;
using NpgsqlTypes;

namespace Pipeline.Workers.Images;

/// <summary>The scene that a command means by an id, a place, or both. The id wins.</summary>
/// <param name="SceneId">The wanted scene; null where only an unknown place was named, or none at all.</param>
/// <param name="Index">The scene's place now; the wanted place where the scene is not there.</param>
/// <param name="IsThere">True where the scene exists, or none is wanted.</param>
/// <param name="Disagreement">A sentence where id and place disagreed.</param>
internal readonly record struct SceneLookup(string? SceneId, int? Index, bool IsThere, string? Disagreement)
{
    private const string Sql = """
        select w.position, w.scene_id, w.index, a.index, b.scene_id
        from unnest($1, $2, $3) with ordinality as w (project_id, scene_id, index, position)
        left join pipeline.scenes a on a.project_id = w.project_id and a.scene_id = w.scene_id
        left join pipeline.scenes b on b.project_id = w.project_id and b.index = w.index and w.scene_id is null
        """;

    /// <summary>One statement for any number of look-ups.</summary>
    public static (string Sql, object[] Parameters) Query(
        IReadOnlyCollection<(Guid ProjectId, string? SceneId, int? Index)> wanted
    ) =>
        (
            Sql,
            [
                wanted.Select(x => x.ProjectId).ToArray(),
                new NpgsqlParameter
                {
                    Value = wanted.Select(x => x.SceneId).ToArray(),
                    NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
                },
                wanted.Select(x => x.Index).ToArray(),
            ]
        );

    /// <summary>Which of the look-ups this row answers, from 0.</summary>
    public static int Position(NpgsqlDataReader row) => (int)row.GetInt64(0) - 1;

    public static SceneLookup Read(NpgsqlDataReader row)
    {
        string? wantedId = row.IsDBNull(1) ? null : row.GetString(1);
        int? wantedIndex = row.IsDBNull(2) ? null : row.GetInt32(2);
        int? indexOfId = row.IsDBNull(3) ? null : row.GetInt32(3);
        string? idOfIndex = row.IsDBNull(4) ? null : row.GetString(4);

        if (wantedId is not null)
        {
            var disagrees = wantedIndex is not null && indexOfId is not null && wantedIndex != indexOfId;
            var sentence = disagrees
                ? $"sceneIndex {wantedIndex} is not the place of scene '{wantedId}', which is {indexOfId}; the id won."
                : null;
            return new SceneLookup(wantedId, indexOfId ?? wantedIndex, indexOfId is not null, sentence);
        }

        return new SceneLookup(
            idOfIndex,
            wantedIndex,
            wantedIndex is null || idOfIndex is not null,
            Disagreement: null
        );
    }

    /// <summary>True where the picture already stands where this look-up leads.</summary>
    public bool IsSceneOf(ImageState image) =>
        SceneId is not null ? image.SceneId == SceneId : image.SceneId is null && image.SceneIndex == Index;
}
