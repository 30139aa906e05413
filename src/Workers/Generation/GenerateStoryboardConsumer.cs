using MassTransit;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
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
internal sealed class GenerateStoryboardConsumer(
    IDbContextFactory<PipelineDbContext> contexts,
    ModelCatalog models,
    CommandAnswers answers,
    TimeProvider clock
) : IConsumer<GenerateStoryboard>
{
    private const string RecordSql = """
        with storyboard as (
            insert into pipeline.generation_storyboards (command_id, project_id, requested, created_at)
            values ($1, $2, cardinality($3), $6))
        insert into pipeline.generation_storyboard_items (storyboard_id, project_id, command_id, scene_id, slot)
        select $1, $2, c, s, t from unnest($3, $4, $5) as x (c, s, t)
        """;

    public async Task Consume(ConsumeContext<GenerateStoryboard> context)
    {
        var command = context.Message;
        var delivery = CommandRequest.Of(context);
        var scenes = await ScenesAsync(command, context.CancellationToken);
        var requests = scenes.SelectMany(x => Requests(command, x)).ToArray();
        if (Refuse(command, scenes, requests) is { } rule)
        {
            await answers.RefuseAsync(delivery, rule, context.CancellationToken);
            return;
        }

        var announcements = requests
            .Select(x => new Announcement(WireNames.ExchangeOf<GenerateImage>(), x.CommandId, WireJson.Write(x)))
            .ToArray();
        await answers.EndAsync(
            delivery,
            Outcomes.Applied,
            reason: null,
            announcements,
            context.CancellationToken,
            record: (connection, transaction) =>
                RecordAsync(connection, transaction, command, requests, context.CancellationToken)
        );
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

    private async Task RecordAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        GenerateStoryboard command,
        GenerateImage[] requests,
        CancellationToken cancellation
    )
    {
        await using var record = new NpgsqlCommand(RecordSql, connection, transaction);
        record.Parameters.AddWithValue(command.CommandId);
        record.Parameters.AddWithValue(command.ProjectId);
        record.Parameters.AddWithValue(requests.Select(x => x.CommandId).ToArray());
        record.Parameters.AddWithValue(
            NpgsqlDbType.Array | NpgsqlDbType.Text,
            requests.Select(x => x.SceneId!).ToArray()
        );
        record.Parameters.AddWithValue(requests.Select(x => x.Slot).ToArray());
        record.Parameters.AddWithValue(clock.GetUtcNow());
        await record.ExecuteNonQueryAsync(cancellation);
    }
}
