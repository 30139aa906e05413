using Microsoft.AspNetCore.Mvc;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>Takes commands. 202 means that the broker has confirmed it; its receipt tells how it ends.</summary>
internal static class CommandEndpoints
{
    public const int ScenesByteLimit = SceneFile.ByteLimit;
    private const int ImportByteLimit = 16 * 1024;

    public static void MapCommands(this IEndpointRouteBuilder routes)
    {
        routes
            .MapPost("/projects/{id:guid}/scenes", DefineAsync)
            .WithMetadata(new RequestSizeLimitAttribute(ScenesByteLimit));
        routes
            .MapPost("/projects/{id:guid}/images/import", ImportAsync)
            .WithMetadata(new RequestSizeLimitAttribute(ImportByteLimit));
    }

    private static async Task<IResult> DefineAsync(
        Guid id,
        HttpRequest request,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        if (Bodies.Refuse(request, id) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<ScenesBody>(request, cancellation);
        var (scenes, problems) = SceneRules.Check(body.Scenes);
        problems = [.. Bodies.IdProblems(id, body.CommandId, body.ProjectId), .. problems];
        if (problems.Count > 0)
            return Problems.BadRequest("The storyboard cannot be right as it is.", problems);

        var command = new DefineScenes(body.CommandId ?? Guid.NewGuid(), id, scenes);
        await sender.SendAsync(WireMessage.Command(command), cancellation);
        return Accepted(command.CommandId, id, imageId: null);
    }

    private static async Task<IResult> ImportAsync(
        Guid id,
        HttpRequest request,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        if (Bodies.Refuse(request, id) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<ImportBody>(request, cancellation);
        List<string> problems = [.. Bodies.IdProblems(id, body.CommandId, body.ProjectId), .. ImportProblems(body)];
        if (problems.Count > 0 || body.SourceUrl is not { } url)
            return Problems.BadRequest("The import cannot be right as it is.", problems);

        // The same ids as the command line's: who sends the same request again sends the same command.
        var derived = new Picture(
            url,
            url,
            IsUrl: true,
            body.SceneId ?? body.SceneIndex?.ToString(),
            body.Slot ?? 0
        ).Command(id, content: null);
        var command = derived with
        {
            CommandId = body.CommandId ?? derived.CommandId,
            ImageId = body.ImageId ?? derived.ImageId,
            SceneId = body.SceneId,
            SceneIndex = body.SceneIndex,
        };
        await sender.SendAsync(WireMessage.Command(command, command.CommandId, id), cancellation);
        return Accepted(command.CommandId, id, command.ImageId);
    }

    private static IResult Accepted(Guid commandId, Guid projectId, Guid? imageId)
    {
        var receipt = ReceiptPath.Of(projectId, commandId);
        return Results.Accepted(
            receipt,
            imageId is null
                ? new
                {
                    commandId,
                    projectId,
                    receipt,
                }
                : (object)
                    new
                    {
                        commandId,
                        projectId,
                        imageId,
                        receipt,
                    }
        );
    }

    private static IEnumerable<string> ImportProblems(ImportBody body)
    {
        if (
            body.SourceUrl is not { Length: > 0 and <= ImportPlan.UrlLength } text
            || !Uri.TryCreate(text, UriKind.Absolute, out var url)
            || url.Scheme is not ("http" or "https")
        )
            yield return $"sourceUrl: must be an http or https address of at most {ImportPlan.UrlLength} characters";
        foreach (var problem in PlaceRules.Problems(body.ImageId, body.SceneId, body.SceneIndex, body.Slot))
            yield return problem;
    }

    private sealed record ScenesBody(Guid? CommandId, Guid? ProjectId, IReadOnlyList<SceneText?>? Scenes);

    private sealed record ImportBody(
        Guid? CommandId,
        Guid? ProjectId,
        Guid? ImageId,
        string? SceneId,
        int? SceneIndex,
        int? Slot,
        string? SourceUrl
    );
}
