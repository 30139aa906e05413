using Microsoft.EntityFrameworkCore;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Models;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>Turns a storyboard's generation into one request for each picture.</summary>
/// <remarks>
/// The list of requests, the receipt and the requests themselves commit together. Ids are derived from the command, so
/// that a redelivery makes the same requests and the saga takes them for what they are.
/// </remarks>
internal sealed class GenerateStoryboardHandler(
    IDbContextFactory<PipelineDbContext> contexts,
    ModelCatalog models,
    TimeProvider clock
) : RowCommandHandler<GenerateStoryboard>
{
    private const string RecordSql = """
        with storyboard as (
            insert into pipeline.generation_storyboards (command_id, project_id, requested, created_at)
            values ($1, $2, cardinality($3), $6))
        insert into pipeline.generation_storyboard_items (storyboard_id, project_id, command_id, scene_id, slot)
        select $1, $2, c, s, t from unnest($3, $4, $5) as x (c, s, t)
        """;

    protected override async Task<Decision?> DecideAsync(CommandWork work, GenerateStoryboard command)
    {
        var scenes = await ScenesAsync(command, work.Cancellation);
        var requests = scenes.SelectMany(x => Requests(command, x)).ToArray();
        if (Refuse(command, scenes, requests) is { } rule)
            return Decision.Rejected(rule);

        await RecordAsync(work, command, requests);
        return Decision.Applied() with
        {
            Announcements =
            [
                .. requests.Select(x => new Announcement(
                    WireNames.ExchangeOf<GenerateImage>(),
                    x.CommandId,
                    WireJson.Write(x)
                )),
            ],
        };
    }

    private string? Refuse(GenerateStoryboard command, List<Scene> scenes, GenerateImage[] requests)
    {
        if (
            command.SceneIds?.Except(scenes.Select(x => x.SceneId), StringComparer.Ordinal).FirstOrDefault() is
            { } unknown
        )
            return $"sceneIds: the project has no scene '{unknown}'.";
        if (scenes.Count == 0)
            return "projectId: the project has no scenes.";
        foreach (var request in requests)
        {
            var rule =
                GenerateImageRules.Refuse(request, models.Knows, clock.GetUtcNow())
                ?? (MessageCatalog.Of<GenerateImage>().Check(request) is [var broken, ..] ? broken : null);
            if (rule is not null)
                return $"scene '{request.SceneId}': {rule}";
        }

        return null;
    }

    private async Task<List<Scene>> ScenesAsync(GenerateStoryboard command, CancellationToken cancellation)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        var all = await db.Set<Scene>()
            .AsNoTracking()
            .Where(x => x.ProjectId == command.ProjectId)
            .Where(x => db.Set<Project>().Any(p => p.Id == x.ProjectId && p.DeletedAt == null))
            .OrderBy(x => x.Index)
            .ToListAsync(cancellation);
        return command.SceneIds is null
            ? all
            : [.. all.Where(x => command.SceneIds.Contains(x.SceneId, StringComparer.Ordinal))];
    }

    private static IEnumerable<GenerateImage> Requests(GenerateStoryboard command, Scene scene) =>
        Enumerable
            .Range(0, command.ImagesPerScene)
            .Select(slot => new GenerateImage(
                NameBasedGuid.Create(command.CommandId, $"{scene.SceneId}/{slot}"),
                command.ProjectId,
                NameBasedGuid.Create(command.ProjectId, $"image {command.CommandId} {scene.SceneId}/{slot}"),
                scene.SceneId,
                SceneIndex: null,
                slot,
                scene.Prompt ?? "",
                command.Model,
                command.Width,
                command.Height,
                Seed: slot,
                command.Options,
                command.Deadline,
                command.Force
            ));

    private static async Task RecordAsync(CommandWork work, GenerateStoryboard command, GenerateImage[] requests)
    {
        await using var record = work.Statement(
            RecordSql,
            command.CommandId,
            command.ProjectId,
            requests.Select(x => x.CommandId).ToArray(),
            requests.Select(x => x.SceneId!).ToArray(),
            requests.Select(x => x.Slot).ToArray(),
            work.At
        );
        await record.ExecuteNonQueryAsync(work.Cancellation);
    }
}
