using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>How commands ended, and who works on them.</summary>
internal static class ReceiptEndpoints
{
    public static void MapReceipts(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(
            "/receipts/{command:guid}",
            (Guid command, HttpRequest request, ReceiptReads reads, CancellationToken cancellation) =>
                OneAsync(
                    request,
                    reads,
                    CommandKey.Of(Guid.Empty, command, request.Query["sender"].FirstOrDefault()),
                    $"Command {command}, which names no project, has not ended: it is still queued, or was never sent. "
                        + $"The receipt of a project's command is at /projects/PROJECT/receipts/{command}.",
                    cancellation
                )
        );
        routes.MapGet(
            "/projects/{id:guid}/receipts/{command:guid}",
            (Guid id, Guid command, HttpRequest request, ReceiptReads reads, CancellationToken cancellation) =>
                OneAsync(
                    request,
                    reads,
                    new CommandKey(id, command),
                    $"Command {command} of project {id} has not ended: it is still queued, or was never sent.",
                    cancellation
                )
        );
        routes.MapGet(
            "/receipts",
            (HttpRequest request, ReceiptReads reads, CancellationToken cancellation) =>
                ListAsync(request, reads, project: null, cancellation)
        );
        // A project may have receipts and no row, where its only commands were rejected.
        routes.MapGet(
            "/projects/{id:guid}/receipts",
            (Guid id, HttpRequest request, ReceiptReads reads, CancellationToken cancellation) =>
                ListAsync(request, reads, id, cancellation)
        );
        routes.MapGet(
            "/lanes",
            async (HttpRequest request, LaneReads reads, CancellationToken cancellation) =>
                Fresh.Json(
                    request,
                    new
                    {
                        lanes = await reads.LanesAsync(cancellation),
                        workers = await reads.WorkersAsync(cancellation),
                        outbox = await reads.OutboxAsync(cancellation),
                    }
                )
        );
    }

    private static async Task<IResult> OneAsync(
        HttpRequest request,
        ReceiptReads reads,
        CommandKey command,
        string missing,
        CancellationToken cancellation
    ) =>
        await reads.FindAsync(command, cancellation) is { } receipt
            ? Fresh.Json(request, receipt)
            : Problems.NotFound("receipt-not-found", missing);

    private static async Task<IResult> ListAsync(
        HttpRequest request,
        ReceiptReads reads,
        Guid? project,
        CancellationToken cancellation
    )
    {
        var page = Paging.Of(request);
        var outcome = request.Query["outcome"].FirstOrDefault();
        if (outcome is not null && !ReceiptText.Outcomes.Contains(outcome, StringComparer.Ordinal))
            return Problems.BadRequest($"outcome: must be one of {string.Join(", ", ReceiptText.Outcomes)}.");
        var receipts = await reads.NewestAsync(project, outcome, page, cancellation);
        return Fresh.Json(request, new { receipts, next = Paging.Next(request, page, receipts) });
    }
}
