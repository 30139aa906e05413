using System.Text.Json;
using Pipeline.Contracts.Saving;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>
/// Says how many replayed lane commands would be <c>superseded</c>, by the same rules as the lane's handlers and from the
/// views. It is a forecast: what is written until the replay counts as well.
/// </summary>
internal sealed class Foresight(StatusDatabase database)
{
    private const string StoryboardsSql = """
        select count(*) from status.receipt_places mine
        where mine.command_id = any($1) and mine.command = 'define-scenes' and mine.outcome = 'failed'
            and exists (
                select from status.receipt_places newer
                where newer.project_id = mine.project_id and newer.command = 'define-scenes'
                    and newer.outcome in ('applied', 'unchanged') and newer.place > mine.place)
        """;

    private const string PicturesSql = """
        select count(*)
        from unnest($1, $2, $3, $4, $5::integer[], $6) as w (command_id, image_id, object_key, scene_id, scene_index, slot)
        join status.receipt_places mine on mine.command_id = w.command_id
        where mine.command = 'save-image' and mine.outcome = 'failed'
            and exists (
                select from status.images i join status.image_places p on p.id = i.id
                where i.project_id = mine.project_id
                    and case
                        when i.id = w.image_id
                            then i.deleted_at is not null or i.object_key <> w.object_key and p.place > mine.place
                        else i.deleted_at is null and i.slot = w.slot and p.place > mine.place
                            and case
                                when w.scene_id is not null then i.scene_id = w.scene_id
                                when w.scene_index is not null then i.scene_index = w.scene_index
                                else i.scene_id is null and i.scene_index is null
                            end
                    end)
        """;

    public async Task<int> SupersededAsync(IReadOnlyCollection<DeadLetter> letters, CancellationToken cancellation)
    {
        var storyboards = letters
            .Where(x => x.Type == WireNames.ExchangeOf<DefineScenes>() && x.CommandId is not null)
            .Select(x => x.CommandId!.Value)
            .ToArray();
        var pictures = letters
            .Where(x => x.Type == WireNames.ExchangeOf<SaveImage>() && x.CommandId is not null)
            .Select(x => (Id: x.CommandId!.Value, Save: Read(x)))
            .Where(x => x.Save is not null)
            .ToArray();
        return await CountAsync(StoryboardsSql, storyboards.Length, [storyboards])
            + await CountAsync(
                PicturesSql,
                pictures.Length,
                [
                    pictures.Select(x => x.Id).ToArray(),
                    pictures.Select(x => x.Save!.ImageId).ToArray(),
                    pictures.Select(x => x.Save!.ObjectKey).ToArray(),
                    pictures.Select(x => x.Save!.SceneId).ToArray(),
                    pictures.Select(x => x.Save!.SceneIndex).ToArray(),
                    pictures.Select(x => x.Save!.Slot).ToArray(),
                ]
            );

        async Task<int> CountAsync(string sql, int letters, object[] parameters) =>
            letters == 0
                ? 0
                : (int)(await database.ReadAsync(sql, x => x.GetInt64(0), cancellation, parameters)).Single();
    }

    private static SaveImage? Read(DeadLetter letter)
    {
        try
        {
            return JsonSerializer.Deserialize<SaveImage>(letter.Body.Span, WireJson.Options);
        }
        catch (JsonException)
        {
            return null; // It failed because it cannot be read, and will again.
        }
    }
}
