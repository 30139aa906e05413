using System.Net.Mime;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Serving;

/// <summary>Projects, and the document that front ends poll.</summary>
internal static class ProjectEndpoints
{
    private static readonly string[] Reading = [HttpMethods.Get, HttpMethods.Head];
    private static readonly HashSet<string> States = new(StringComparer.Ordinal) { "shown", "waiting", "deleted" };

    public static void MapProjects(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(
            "/projects",
            async (HttpRequest request, ProjectReads reads, CancellationToken cancellation) =>
            {
                var page = Paging.Of(request);
                var projects = await reads.NewestAsync(page, cancellation);
                return Fresh.Json(request, new { projects, next = Paging.Next(request, page, projects) });
            }
        );
        routes.MapMethods("/projects/{id:guid}", Reading, DocumentAsync);
        routes.MapGet(
            "/projects/{id:guid}/images",
            async (Guid id, HttpRequest request, ProjectReads reads, CancellationToken cancellation) =>
            {
                var page = Paging.Of(request);
                var state = request.Query["state"].FirstOrDefault();
                if (state is not null && !States.Contains(state))
                    return Problems.BadRequest($"state: must be one of {string.Join(", ", States)}.");
                if (await reads.VersionAsync(id, cancellation) is null)
                    return Unknown(id);
                var images = await reads.ImagesAsync(id, state, page, cancellation);
                return Fresh.Json(request, new { images, next = Paging.Next(request, page, images) });
            }
        );
    }

    /// <summary>An empty project has no row yet: its first command may still be queued.</summary>
    public static IResult Unknown(Guid id) =>
        Problems.NotFound("project-not-found", $"There is no project {id}, or no command of it has been applied yet.");

    private static async Task<IResult> DocumentAsync(
        Guid id,
        HttpContext context,
        ProjectReads reads,
        CancellationToken cancellation
    )
    {
        context.Response.Headers.CacheControl = "no-cache";

        // A poller mostly has the newest version, and the document costs more than its number.
        if (await reads.VersionAsync(id, cancellation) is not { } version)
            return Unknown(id);
        if (ETags.IsKnown(context.Request, ETag(version)))
        {
            context.Response.Headers.ETag = ETag(version);
            return Results.StatusCode(StatusCodes.Status304NotModified);
        }

        // Read with its own version: the project may have moved on since.
        if (await reads.DocumentAsync(id, cancellation) is not { } document)
            return Unknown(id);
        context.Response.Headers.ETag = ETag(document.Version);
        return Results.Text(document.Json, MediaTypeNames.Application.Json);
    }

    private static string ETag(long version) => $"\"v{version}\"";
}
