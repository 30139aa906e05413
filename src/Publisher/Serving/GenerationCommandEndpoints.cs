using Microsoft.AspNetCore.Mvc;
using Pipeline.Contracts;
using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Serving;

/// <summary>Takes requests for pictures. 202 means that the broker has confirmed it; its receipt comes at the end.</summary>
internal static class GenerationCommandEndpoints
{
    /// <summary>The longest prompt in four-byte characters, each written as two escapes, and the rest beside it.</summary>
    private const int ByteLimit = 512 * 1024;

    public static void MapGenerationCommands(this IEndpointRouteBuilder routes)
    {
        routes
            .MapPost("/projects/{id:guid}/generations", GenerateAsync)
            .WithMetadata(new RequestSizeLimitAttribute(ByteLimit));
        routes
            .MapPost("/projects/{id:guid}/storyboard-generations", StoryboardAsync)
            .WithMetadata(new RequestSizeLimitAttribute(ByteLimit));
    }

    private static async Task<IResult> GenerateAsync(
        Guid id,
        HttpRequest request,
        CommandSender sender,
        TimeProvider clock,
        CancellationToken cancellation
    )
    {
        if (Bodies.Refuse(request, id) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<GenerateBody>(request, cancellation);
        var wish = body.Wish(known: null);
        List<string> problems =
        [
            .. Bodies.IdProblems(id, body.CommandId, body.ProjectId),
            .. GenerationRules.Picture(body.Prompt, body.SceneId, body.SceneIndex, body.Slot),
            .. GenerationRules.Wish(wish, clock.GetUtcNow()),
        ];
        if (body.ImageId == Guid.Empty)
            problems.Add("imageId: must not be all zeros");
        if (problems.Count > 0)
            return Problems.BadRequest("The request cannot be right as it is.", problems);

        var commandId = body.CommandId ?? Guid.NewGuid();
        var command = new GenerateImage(
            commandId,
            id,
            body.ImageId ?? GenerationMessages.ImageOf(id, commandId),
            body.SceneId,
            body.SceneIndex,
            body.Slot ?? 0,
            body.Prompt ?? "",
            wish.Model,
            wish.Width,
            wish.Height,
            body.Seed,
            wish.Options,
            wish.Deadline,
            wish.Force
        );
        await sender.SendAsync(command.ToWire(), cancellation);
        var accepted = new AcceptedPicture(command);
        return Results.Accepted(accepted.Receipt, accepted);
    }

    private static async Task<IResult> StoryboardAsync(
        Guid id,
        HttpRequest request,
        CommandSender sender,
        StatusDatabase database,
        TimeProvider clock,
        CancellationToken cancellation
    )
    {
        if (Bodies.Refuse(request, id) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<StoryboardBody>(request, cancellation);
        var wish = body.Wish(known: null);
        List<string> problems =
        [
            .. Bodies.IdProblems(id, body.CommandId, body.ProjectId),
            .. GenerationRules.Storyboard(body.SceneIds, body.ImagesPerScene),
            .. GenerationRules.Wish(wish, clock.GetUtcNow()),
        ];
        if (body.Missing && (body.CommandId is not null || body.ImagesPerScene is not null))
            problems.Add("missing: goes without commandId and imagesPerScene");
        else if (!body.Missing && body.ImagesPerScene is null)
            problems.Add($"imagesPerScene: must be 1 to {Limits.ImagesPerScene}");
        if (problems.Count > 0)
            return Problems.BadRequest("The request cannot be right as it is.", problems);
        IReadOnlyList<string>? sceneIds = body.SceneIds?.OfType<string>().ToList();
        if (body.Missing)
            return await MissingAsync(id, sceneIds, body, sender, database, cancellation);

        var command = new GenerateStoryboard(
            body.CommandId ?? Guid.NewGuid(),
            id,
            sceneIds,
            body.ImagesPerScene ?? 0,
            wish.Model,
            wish.Width,
            wish.Height,
            wish.Options,
            wish.Deadline,
            wish.Force
        );
        await sender.SendAsync(command.ToWire(), cancellation);
        var receipt = ReceiptPath.Of(command.ProjectId, command.CommandId);
        return Results.Accepted(
            receipt,
            new
            {
                command.CommandId,
                projectId = id,
                generations = $"/projects/{id}/generations",
                receipt,
            }
        );
    }

    private static async Task<IResult> MissingAsync(
        Guid id,
        IReadOnlyList<string>? sceneIds,
        StoryboardBody body,
        CommandSender sender,
        StatusDatabase database,
        CancellationToken cancellation
    )
    {
        if (await MissingRequests.OfAsync(id, sceneIds, body.Wish, database, cancellation) is not { } missing)
            return Problems.NotFound("storyboard-not-found", $"No storyboard was ever generated for project {id}.");
        foreach (var command in missing.Commands)
            await sender.SendAsync(command.ToWire(), cancellation);
        var generations = $"/projects/{id}/generations";
        var answer = new
        {
            projectId = id,
            requests = missing.Commands.Select(x => new AcceptedPicture(x)).ToList(),
            notes = missing.Notes,
            generations,
        };
        return missing.Commands.Count > 0 ? Results.Accepted(generations, answer) : Results.Ok(answer);
    }
}
