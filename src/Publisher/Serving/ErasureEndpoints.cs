using Pipeline.Contracts.Deleting;
using Pipeline.Publisher.Deleting;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>Erases projects, and shows how far that is. 202 means that the broker has the command.</summary>
internal static class ErasureEndpoints
{
    public static void MapErasures(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/projects/{id:guid}/erase", EraseAsync);
        routes.MapGet("/erasures", ListAsync);
    }

    private static async Task<IResult> EraseAsync(
        Guid id,
        HttpRequest request,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        if (Bodies.RefuseUnlessJson(request) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<EraseBody>(request, cancellation);
        if (body.CommandId == Guid.Empty || id == Guid.Empty)
            return Problems.BadRequest("Neither the project's id nor commandId may be all zeros.");

        var erase = new EraseProject(body.CommandId ?? Guid.NewGuid(), id);
        await sender.SendAsync(WireMessage.Command(erase), cancellation);
        var receipt = ReceiptPath.Of(id, erase.CommandId);
        return Results.Accepted(
            receipt,
            new
            {
                commandId = erase.CommandId,
                projectId = id,
                receipt,
            }
        );
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request,
        Guid? project,
        ErasureReads reads,
        CancellationToken cancellation
    )
    {
        var page = Paging.Of(request);
        var erasures = await reads.ListAsync(project, page, cancellation);
        return Fresh.Json(request, new { erasures, next = Paging.Next(request, page, erasures) });
    }

    private sealed record EraseBody(Guid? CommandId);
}
