using Microsoft.AspNetCore.Mvc;
using Pipeline.Contracts.Reconciling;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Reconciling;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>Reconciliations: what was compared, what was found, and how to ask for one.</summary>
internal static class ReconciliationEndpoints
{
    private const int ByteLimit = 4 * 1024;

    public static void MapReconciliations(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/reconciliations", AskAsync).WithMetadata(new RequestSizeLimitAttribute(ByteLimit));
        routes.MapGet("/reconciliations", ListAsync);
        routes.MapGet("/reconciliations/{id:guid}", FindAsync);
    }

    private static async Task<IResult> AskAsync(
        HttpRequest request,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        if (Bodies.RefuseUnlessJson(request) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<AskBody>(request, cancellation);
        if (body.CommandId == Guid.Empty)
            return Problems.BadRequest("The request cannot be right as it is.", ["commandId: must not be all zeros"]);

        var command = new Reconcile(
            body.CommandId ?? Guid.NewGuid(),
            body.Grace,
            body.ReadBytes ?? false,
            body.RepairOf
        );
        await sender.SendAsync(WireMessage.Command(command, command.CommandId, Guid.Empty), cancellation);
        return Results.Accepted(
            $"/reconciliations/{command.CommandId}",
            new { command.CommandId, receipt = ReceiptPath.Of(Guid.Empty, command.CommandId) }
        );
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request,
        ReconciliationReads reads,
        CancellationToken cancellation
    )
    {
        var page = Paging.Of(request);
        var reconciliations = await reads.NewestAsync(page, cancellation);
        return Results.Ok(new { reconciliations, next = Paging.Next(request, page, reconciliations) });
    }

    private static async Task<IResult> FindAsync(
        Guid id,
        HttpRequest request,
        ReconciliationReads reads,
        CancellationToken cancellation
    )
    {
        var page = Paging.Of(request);
        if (await reads.FindAsync(id, cancellation) is not { } reconciliation)
            return Problems.NotFound("reconciliation-not-found", $"There is no reconciliation {id}.");
        var findings = await reads.FindingsAsync(id, page, cancellation);
        return Results.Ok(
            new
            {
                reconciliation,
                findings,
                next = Paging.Next(request, page, findings),
            }
        );
    }

    private sealed record AskBody(Guid? CommandId, TimeSpan? Grace, bool? ReadBytes, Guid? RepairOf);
}
