using Pipeline.Contracts.Deleting;
using Pipeline.Publisher.Deleting;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>Deletes, restores, and shows how far deletions are. 202 means that the broker has the command.</summary>
internal static class DeletionEndpoints
{
    public static void MapDeletions(this IEndpointRouteBuilder routes)
    {
        // A page of another origin cannot send DELETE unasked; bodies are JSON for the same reason.
        routes.MapDelete(
            "/images/{id:guid}",
            (Guid id, Guid? commandId, ProjectReads reads, CommandSender sender, CancellationToken cancellation) =>
                SendAsync(id, commandId, DeleteImage, reads, sender, cancellation)
        );
        routes.MapDelete(
            "/projects/{id:guid}",
            async (Guid id, Guid? commandId, CommandSender sender, CancellationToken cancellation) =>
                await SendAsync(id, commandId, x => new DeleteProject(x, id), sender, cancellation)
        );
        routes.MapPost(
            "/images/{id:guid}/restore",
            async (
                Guid id,
                HttpRequest request,
                ProjectReads reads,
                CommandSender sender,
                CancellationToken cancellation
            ) =>
                Bodies.RefuseUnlessJson(request)
                ?? await SendAsync(
                    id,
                    (await Bodies.ReadAsync<CommandBody>(request, cancellation)).CommandId,
                    RestoreImage,
                    reads,
                    sender,
                    cancellation
                )
        );
        routes.MapPost(
            "/projects/{id:guid}/restore",
            async (Guid id, HttpRequest request, CommandSender sender, CancellationToken cancellation) =>
                Bodies.RefuseUnlessJson(request)
                ?? await SendAsync(
                    id,
                    (await Bodies.ReadAsync<CommandBody>(request, cancellation)).CommandId,
                    x => new RestoreProject(x, id),
                    sender,
                    cancellation
                )
        );
        routes.MapGet("/deletions", ListAsync);
        routes.MapGet("/deletions/{id:guid}", ShowAsync);
        routes.MapPost("/deletions/{id:guid}/retry", RetryAsync);
    }

    private static WireMessage DeleteImage(Guid command, ImageRow image) =>
        WireMessage.Command(new DeleteImage(command, image.ProjectId, image.Id));

    private static WireMessage RestoreImage(Guid command, ImageRow image) =>
        WireMessage.Command(new RestoreImage(command, image.ProjectId, image.Id));

    private static async Task<IResult> SendAsync(
        Guid image,
        Guid? commandId,
        Func<Guid, ImageRow, WireMessage> command,
        ProjectReads reads,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        if (commandId == Guid.Empty)
            return Problems.BadRequest("commandId: must not be all zeros.");
        if (await reads.ImageAsync(image, cancellation) is not { } row)
            return Problems.NotFound("image-not-found", $"There is no picture {image}; its save may still be queued.");

        var sent = command(commandId ?? Guid.NewGuid(), row);
        await sender.SendAsync(sent, cancellation);
        return Accepted(sent.MessageId, row.ProjectId, row.ProjectId, image);
    }

    private static async Task<IResult> SendAsync<T>(
        Guid project,
        Guid? commandId,
        Func<Guid, T> command,
        CommandSender sender,
        CancellationToken cancellation
    )
        where T : Contracts.ILaneCommand
    {
        if (commandId == Guid.Empty || project == Guid.Empty)
            return Problems.BadRequest("Neither the project's id nor commandId may be all zeros.");

        var sent = command(commandId ?? Guid.NewGuid());
        await sender.SendAsync(WireMessage.Command(sent), cancellation);
        return Accepted(sent.CommandId, project, project, imageId: null);
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request,
        Guid? project,
        bool? failed,
        DeletionReads reads,
        CancellationToken cancellation
    )
    {
        var page = Paging.Of(request);
        var deletions = await reads.ListAsync(project, failed ?? false, page, cancellation);
        return Fresh.Json(request, new { deletions, next = Paging.Next(request, page, deletions) });
    }

    private static async Task<IResult> ShowAsync(
        Guid id,
        HttpRequest request,
        DeletionReads reads,
        CancellationToken cancellation
    ) =>
        await reads.FindAsync(id, cancellation) is { } deletion
            ? Fresh.Json(request, new { deletion, keys = await reads.KeysAsync(id, cancellation) })
            : Unknown(id);

    private static async Task<IResult> RetryAsync(
        Guid id,
        HttpRequest request,
        DeletionReads reads,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        if (Bodies.RefuseUnlessJson(request) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<CommandBody>(request, cancellation);
        if (body.CommandId == Guid.Empty)
            return Problems.BadRequest("commandId: must not be all zeros.");
        if (await reads.FindAsync(id, cancellation) is not { } deletion)
            return Unknown(id);

        var sent = RetryDeletionVerb.RetryOf(body.CommandId ?? Guid.NewGuid(), deletion);
        await sender.SendAsync(sent, cancellation);
        return Accepted(sent.MessageId, Guid.Empty, deletion.ProjectId, deletion.ImageId);
    }

    private static IResult Accepted(Guid commandId, Guid scope, Guid projectId, Guid? imageId)
    {
        var receipt = ReceiptPath.Of(scope, commandId);
        return Results.Accepted(
            receipt,
            new
            {
                commandId,
                projectId,
                imageId,
                receipt,
            }
        );
    }

    private static IResult Unknown(Guid id) => Problems.NotFound("deletion-not-found", $"There is no deletion {id}.");

    private sealed record CommandBody(Guid? CommandId);
}
