using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Storyboards;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Storyboards;

/// <summary>Sets a project's storyboard, places the pictures that waited for a scene, and hides those whose scene went.</summary>
internal sealed class DefineScenesHandler : LaneHandler<DefineScenes>
{
    private const string NewerSql = """
        select exists (
            select from pipeline.receipts
            where project_id = $1 and command = 'define-scenes' and outcome in ('applied', 'unchanged') and place > $2)
        """;

    private const string ScenesSql = "select scene_id, index, prompt from pipeline.scenes where project_id = $1";

    private const string DeleteSql = "delete from pipeline.scenes where project_id = $1";

    private const string InsertSql = """
        insert into pipeline.scenes (project_id, scene_id, index, prompt)
        select $1, s, i, p from unnest($2, $3, $4) as x (s, i, p)
        """;

    // A picture that named its scene by place gets the scene's id, and keeps it when places change.
    private const string ResolveSql = """
        update pipeline.images i set scene_id = s.scene_id from pipeline.scenes s
        where i.project_id = $1 and i.deleted_at is null and i.scene_id is null and s.project_id = i.project_id
            and s.index = i.scene_index
        """;

    private const string PlaceSql = $"""
        update pipeline.images set placed = true, project_version = $2, updated_at = $3
        where project_id = $1 and deleted_at is null and not placed and object_seen
            and scene_id in (select scene_id from pipeline.scenes where project_id = $1)
        returning {ImageState.Columns}
        """;

    private const string HideSql = $"""
        update pipeline.images set placed = false, project_version = $2, updated_at = $3
        where project_id = $1 and deleted_at is null and placed and scene_id is not null
            and scene_id not in (select scene_id from pipeline.scenes where project_id = $1)
        returning {ImageState.Columns}
        """;

    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        foreach (var entry in run)
        {
            var before = transaction.DecidedBefore.Concat(run.TakeWhile(x => x != entry));
            if (await IsOvertakenAsync(transaction, entry, before, cancellation))
                entry.Supersede("A newer storyboard has been set.", transaction.Now);
            else
                await ApplyAsync(transaction, entry, entry.As<DefineScenes>(), cancellation);
        }
    }

    protected override string? Refuse(DefineScenes command) => DefineScenesRules.Refuse(command);

    /// <summary>Only a command that failed and was replayed can come after a newer one.</summary>
    private static async Task<bool> IsOvertakenAsync(
        LaneTransaction transaction,
        LaneEntry entry,
        IEnumerable<LaneEntry> before,
        CancellationToken cancellation
    )
    {
        if (entry.Place is not { } place)
            return false;

        // The receipts of this batch are not written yet.
        if (before.Any(x => IsStoryboardSet(x) && x.ProjectId == entry.ProjectId && entry.IsOlderThan(x.Place)))
            return true;
        await using var row = await transaction.ReadAsync([(NewerSql, [entry.ProjectId, place])], cancellation);
        return await row.ReadAsync(cancellation) && row.GetBoolean(0);
    }

    private static bool IsStoryboardSet(LaneEntry entry) =>
        entry is { Command: DefineScenes, Decision.Outcome: Outcomes.Applied or Outcomes.Unchanged };

    private static async Task ApplyAsync(
        LaneTransaction transaction,
        LaneEntry entry,
        DefineScenes command,
        CancellationToken cancellation
    )
    {
        if (transaction.DeletedAt(command.ProjectId) is { } deletedAt)
        {
            entry.Supersede($"The project was deleted at {deletedAt:O}.", transaction.Now);
            return;
        }

        var wanted = command.Scenes.ToDictionary(x => x.Id, StringComparer.Ordinal);
        var current = await ReadScenesAsync(transaction, command.ProjectId, cancellation);
        if (current.Count == wanted.Count && current.All(x => wanted.TryGetValue(x.Id, out var scene) && scene == x))
        {
            var version = transaction.Version(command.ProjectId);
            entry.Decide(Outcomes.Unchanged, reason: null, version, transaction.Now, Defined(version));
            return;
        }

        var next = transaction.NextVersion(command.ProjectId);
        transaction.Write(DeleteSql, command.ProjectId);
        transaction.Write(
            InsertSql,
            command.ProjectId,
            command.Scenes.Select(x => x.Id).ToArray(),
            command.Scenes.Select(x => x.Index).ToArray(),
            new NpgsqlParameter
            {
                Value = command.Scenes.Select(x => x.Prompt).ToArray(),
                NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
            }
        );
        transaction.Write(ResolveSql, command.ProjectId);

        var announcements = new List<Announcement> { Defined(next) };
        object[] parameters = [command.ProjectId, next, transaction.Now];
        await using (
            var moved = await transaction.ReadAsync([(PlaceSql, parameters), (HideSql, parameters)], cancellation)
        )
        {
            while (await moved.ReadAsync(cancellation))
                announcements.Add(ImageState.Read(moved).Announce(entry.Key, transaction.Now, isSceneThere: true));
            await moved.NextResultAsync(cancellation);
            while (await moved.ReadAsync(cancellation))
                announcements.Add(ImageState.Read(moved).Announce(entry.Key, transaction.Now, isSceneThere: false));
        }

        entry.Decide(Outcomes.Applied, reason: null, next, transaction.Now, announcements);

        Announcement Defined(long version) =>
            Announcement.Of(
                entry.Key,
                new ScenesDefined(entry.CommandId, command.ProjectId, version, command.Scenes.Count, transaction.Now)
            );
    }

    private static async Task<List<SceneDefinition>> ReadScenesAsync(
        LaneTransaction transaction,
        Guid projectId,
        CancellationToken cancellation
    )
    {
        await using var row = await transaction.ReadAsync([(ScenesSql, [projectId])], cancellation);
        var scenes = new List<SceneDefinition>();
        while (await row.ReadAsync(cancellation))
            scenes.Add(
                new SceneDefinition(row.GetString(0), row.GetInt32(1), row.IsDBNull(2) ? null : row.GetString(2))
            );
        return scenes;
    }
}
