using System.Text.Json;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Saving;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>
/// Says how many replayed lane commands would be <c>superseded</c>, by the same rules as the lane's handlers and from
/// the views. A letter without a receipt is older than everything. It is a forecast: what is written until the replay
/// counts as well.
/// </summary>
internal sealed class Foresight(StatusDatabase database)
{
    private const string StoryboardsSql = """
        select count(*) from unnest($1, $2) as w (command_id, project_id)
        left join status.receipt_places mine on mine.command_id = w.command_id and mine.scope = w.project_id
        where coalesce(mine.outcome, 'failed') = 'failed'
            and exists (
                select from status.receipt_places newer
                where newer.project_id = w.project_id and newer.command = 'define-scenes'
                    and newer.outcome in ('applied', 'unchanged') and newer.place > coalesce(mine.place, 0))
        """;

    private const string PicturesSql = """
        select count(*)
        from unnest($1, $2, $3, $4, $5::integer[], $6, $7)
            as w (command_id, image_id, object_key, scene_id, scene_index, slot, project_id)
        left join status.receipt_places mine on mine.command_id = w.command_id and mine.scope = w.project_id
        where coalesce(mine.outcome, 'failed') = 'failed'
            and exists (
                select from status.images i join status.image_places p on p.id = i.id
                where i.project_id = w.project_id
                    and case
                        when i.id = w.image_id
                            then i.deleted_at is not null
                                or i.object_key <> w.object_key and p.place > coalesce(mine.place, 0)
                        else i.deleted_at is null and i.slot = w.slot and p.place > coalesce(mine.place, 0)
                            and case
                                when w.scene_id is not null then i.scene_id = w.scene_id
                                when w.scene_index is not null then i.scene_index = w.scene_index
                                else i.scene_id is null and i.scene_index is null
                            end
                    end)
        """;

    private const string ReplacementsSql = """
        select count(*)
        from unnest($1, $2, $3) as w (command_id, image_id, project_id)
        left join status.receipt_places mine on mine.command_id = w.command_id and mine.scope = w.project_id
        where coalesce(mine.outcome, 'failed') = 'failed'
            and exists (
                select from status.images i join status.image_places p on p.id = i.id
                where i.id = w.image_id and (i.deleted_at is not null or p.place > coalesce(mine.place, 0)))
        """;

    // Deletions and restorations, of images and of projects.
    private const string LifecycleSql = """
        select count(*) from unnest($1, $2, $3) as w (command_id, target_id, project_id)
        left join status.receipt_places mine on mine.command_id = w.command_id and mine.scope = w.project_id
        where coalesce(mine.outcome, 'failed') = 'failed'
            and coalesce(mine.place, 0) < greatest(
                (select p.lifecycle_place from status.image_places p where p.id = w.target_id),
                (select p.lifecycle_place from status.project_places p where p.id = w.target_id))
        """;

    public async Task<int> SupersededAsync(IReadOnlyCollection<DeadLetter> letters, CancellationToken cancellation)
    {
        var storyboards = Of<DefineScenes>(letters);
        var pictures = Of<SaveImage>(letters);
        var replacements = Of<ReplaceImage>(letters);
        (Guid Id, Guid TargetId, Guid ProjectId)[] lifecycle =
        [
            .. Of<DeleteImage>(letters).Select(x => (x.Id, x.Command.ImageId, x.Command.ProjectId)),
            .. Of<RestoreImage>(letters).Select(x => (x.Id, x.Command.ImageId, x.Command.ProjectId)),
            .. Of<DeleteProject>(letters).Select(x => (x.Id, x.Command.ProjectId, x.Command.ProjectId)),
            .. Of<RestoreProject>(letters).Select(x => (x.Id, x.Command.ProjectId, x.Command.ProjectId)),
        ];
        return await CountAsync(
                StoryboardsSql,
                storyboards.Count,
                [storyboards.Select(x => x.Id).ToArray(), storyboards.Select(x => x.Command.ProjectId).ToArray()]
            )
            + await CountAsync(
                PicturesSql,
                pictures.Count,
                [
                    pictures.Select(x => x.Id).ToArray(),
                    pictures.Select(x => x.Command.ImageId).ToArray(),
                    pictures.Select(x => x.Command.ObjectKey).ToArray(),
                    pictures.Select(x => x.Command.SceneId).ToArray(),
                    pictures.Select(x => x.Command.SceneIndex).ToArray(),
                    pictures.Select(x => x.Command.Slot).ToArray(),
                    pictures.Select(x => x.Command.ProjectId).ToArray(),
                ]
            )
            + await CountAsync(
                ReplacementsSql,
                replacements.Count,
                [
                    replacements.Select(x => x.Id).ToArray(),
                    replacements.Select(x => x.Command.ImageId).ToArray(),
                    replacements.Select(x => x.Command.ProjectId).ToArray(),
                ]
            )
            + await CountAsync(
                LifecycleSql,
                lifecycle.Length,
                [
                    lifecycle.Select(x => x.Id).ToArray(),
                    lifecycle.Select(x => x.TargetId).ToArray(),
                    lifecycle.Select(x => x.ProjectId).ToArray(),
                ]
            );

        async Task<int> CountAsync(string sql, int letters, object[] parameters) =>
            letters == 0
                ? 0
                : (int)(await database.ReadAsync(sql, x => x.GetInt64(0), cancellation, parameters)).Single();
    }

    private static List<(Guid Id, T Command)> Of<T>(IEnumerable<DeadLetter> letters)
        where T : class
    {
        var name = WireNames.ExchangeOf<T>();
        return
        [
            .. letters
                .Where(x => x.Type == name && x.CommandId is not null)
                .Select(x => (x.CommandId!.Value, Read<T>(x)!))
                .Where(x => x.Item2 is not null),
        ];
    }

    private static T? Read<T>(DeadLetter letter)
        where T : class
    {
        try
        {
            return letter.Message?.Deserialize<T>(WireJson.Options);
        }
        catch (JsonException)
        {
            return null; // It failed because it cannot be read, and will again.
        }
    }
}
