using Pipeline.Publisher.DeadLetters;

namespace Pipeline.Publisher.Serving;

/// <summary>
/// How many dead letters there are, and what people did about them. To look into them is the command line's: it takes
/// them out of their queues for a moment, which a page that refreshes itself must not do.
/// </summary>
internal static class DeadLetterEndpoints
{
    public static void MapDeadLetters(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(
            "/dead-letters",
            async (HttpRequest request, LetterCounts counts, CancellationToken cancellation) =>
                Fresh.Json(request, new { queues = await counts.ReadAsync(cancellation) })
        );
        routes.MapGet(
            "/dead-letters/actions",
            async (HttpRequest request, DeadLetterReads reads, CancellationToken cancellation) =>
            {
                var message = request.Query["message"].FirstOrDefault();
                var actions = await reads.ActionsAsync(message, Paging.Of(request).Limit, cancellation);
                return Fresh.Json(request, new { actions });
            }
        );
    }
}
