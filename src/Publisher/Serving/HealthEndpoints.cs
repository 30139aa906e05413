using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Serving;

/// <summary>Whether the process lives, and whether commands would be taken and carried out.</summary>
internal static class HealthEndpoints
{
    public static void MapHealth(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/health/live", (HttpRequest request) => Fresh.Json(request, new { status = "alive" }));
        routes.MapGet("/health/ready", ReadyAsync);
    }

    private static async Task<IResult> ReadyAsync(
        HttpResponse response,
        BrokerProbe broker,
        LaneReads lanes,
        CancellationToken cancellation
    )
    {
        Check[] checks =
        [
            await RunAsync("broker", () => broker.CheckAsync(cancellation), cancellation),
            await RunAsync("database", () => lanes.OutboxAsync(cancellation), cancellation),
            await RunAsync("lanes", () => RequireHoldersAsync(lanes, cancellation), cancellation),
        ];
        var isReady = Array.TrueForAll(checks, x => x.Ok);
        response.Headers.CacheControl = "no-store";
        return Results.Json(
            new { status = isReady ? "ready" : "not ready", checks },
            statusCode: isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable
        );
    }

    private static async Task RequireHoldersAsync(LaneReads reads, CancellationToken cancellation)
    {
        var lanes = await reads.LanesAsync(cancellation);
        if (lanes.Count == 0)
            throw new FailureException("There are no lanes: no worker has ever run here.");
        var idle = lanes.Where(x => !x.Held).Select(x => x.Queue).ToList();
        if (idle.Count > 0)
            throw new FailureException($"Nobody holds {string.Join(", ", idle)}.");
    }

    private static async Task<Check> RunAsync(string name, Func<Task> check, CancellationToken cancellation)
    {
        try
        {
            await check();
            return new Check(name, Ok: true, Reason: null);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            return new Check(name, Ok: false, Failures.Describe(e) ?? e.GetType().Name);
        }
    }

    /// <param name="Name">What was looked at.</param>
    /// <param name="Ok">True where it is as it should be.</param>
    /// <param name="Reason">Why not.</param>
    private sealed record Check(string Name, bool Ok, string? Reason);
}
