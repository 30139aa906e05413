using Microsoft.AspNetCore.Mvc;
using Pipeline.Contracts;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Replacing;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>Gives a picture the bytes behind an address; the workers fetch them.</summary>
internal static class ReplaceEndpoints
{
    private const int ByteLimit = 16 * 1024;

    public static void MapReplacements(this IEndpointRouteBuilder routes) =>
        routes
            .MapPost("/images/{id:guid}/replace", ReplaceAsync)
            .WithMetadata(new RequestSizeLimitAttribute(ByteLimit));

    private static async Task<IResult> ReplaceAsync(
        Guid id,
        HttpRequest request,
        ProjectReads reads,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        if (Bodies.RefuseUnlessJson(request) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<ReplaceBody>(request, cancellation);
        if (body.CommandId == Guid.Empty)
            return Problems.BadRequest("commandId: must not be all zeros.");
        if (
            body.SourceUrl is not { Length: > 0 and <= Limits.UrlLength } text
            || !Uri.TryCreate(text, UriKind.Absolute, out var url)
            || url.Scheme is not ("http" or "https")
        )
            return Problems.BadRequest(
                $"sourceUrl: must be an http or https address of at most {Limits.UrlLength} characters."
            );
        if (await reads.ImageAsync(id, cancellation) is not { } row)
            return Problems.NotFound("image-not-found", $"There is no picture {id}; its save may still be queued.");

        var command = ReplaceCommand.Of(body.CommandId ?? Guid.NewGuid(), row, text);
        await sender.SendAsync(WireMessage.Command(command, command.CommandId, command.ProjectId), cancellation);
        var receipt = ReceiptPath.Of(command.ProjectId, command.CommandId);
        return Results.Accepted(
            receipt,
            new
            {
                command.CommandId,
                command.ProjectId,
                command.ImageId,
                receipt,
            }
        );
    }

    private sealed record ReplaceBody(Guid? CommandId, string? SourceUrl);
}
