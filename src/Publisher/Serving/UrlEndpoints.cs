using Microsoft.AspNetCore.Mvc;
using Pipeline.Contracts.Urls;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Urls;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>The URLs of pictures with their ends, and the command that renews them.</summary>
internal static class UrlEndpoints
{
    private const int ByteLimit = 4 * 1024;

    public static void MapUrls(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/images/{id:guid}/urls", ImageAsync);
        routes.MapGet("/projects/{id:guid}/urls", ProjectAsync);
        routes.MapGet(
            "/urls/health",
            async (HttpRequest request, UrlReads reads, CancellationToken cancellation) =>
                Fresh.Json(
                    request,
                    new
                    {
                        health = await reads.HealthAsync(cancellation),
                        steps = await reads.StepsAsync(cancellation),
                        variants = await reads.VariantsAsync(cancellation),
                    }
                )
        );
        MapRefresh(routes, "/images/{id:guid}/urls/refresh", (command, id) => command with { ImageId = id });
        MapRefresh(routes, "/projects/{id:guid}/urls/refresh", (command, id) => command with { ProjectId = id });
        MapRefresh(routes, "/urls/refresh", (command, _) => command);
    }

    private static async Task<IResult> ImageAsync(
        Guid id,
        HttpRequest request,
        UrlDesk desk,
        CancellationToken cancellation
    ) =>
        await desk.ResolveAsync([id], cancellation) is [var picture]
            ? Fresh.Json(request, PictureBody.Of(picture))
            : Problems.NotFound("image-not-found", $"Picture {id} is not shown.");

    private static async Task<IResult> ProjectAsync(
        Guid id,
        HttpRequest request,
        UrlDesk desk,
        UrlReads reads,
        ProjectReads projects,
        CancellationToken cancellation
    )
    {
        var page = Paging.Of(request);
        if (await projects.VersionAsync(id, cancellation) is null)
            return ProjectEndpoints.Unknown(id);
        var images = await reads.ShownAsync(id, page, cancellation);
        var pictures = await desk.ResolveAsync([.. images], cancellation);
        return Fresh.Json(
            request,
            new { pictures = pictures.Select(PictureBody.Of), next = Paging.Next(request, page, images) }
        );
    }

    private static void MapRefresh(
        IEndpointRouteBuilder routes,
        string path,
        Func<RefreshUrls, Guid, RefreshUrls> address
    ) =>
        routes
            .MapPost(
                path,
                async (HttpRequest request, CommandSender sender, CancellationToken cancellation) =>
                {
                    if (Bodies.RefuseUnlessJson(request) is { } refusal)
                        return refusal;
                    var body = await Bodies.ReadAsync<RefreshBody>(request, cancellation);
                    var id = request.RouteValues["id"] is string text ? Guid.Parse(text) : Guid.Empty;
                    var command = address(
                        new RefreshUrls(body.CommandId ?? Guid.NewGuid(), null, null, null, body.Force),
                        id
                    );
                    if (body.CommandId == Guid.Empty)
                        return Problems.BadRequest("commandId: must not be all zeros.");
                    if (body.Force && command is { ImageId: null, ProjectId: null })
                        return Problems.BadRequest("force: goes with a picture or a project.");
                    await sender.SendAsync(command.ToWire(), cancellation);
                    var receipt = ReceiptPath.Of(command.ProjectId ?? Guid.Empty, command.CommandId);
                    return Results.Accepted(receipt, new { command.CommandId, receipt });
                }
            )
            .WithMetadata(new RequestSizeLimitAttribute(ByteLimit));

    private sealed record RefreshBody(Guid? CommandId, bool Force);

    /// <summary>A picture as readers get it: nothing of it names where the original lies.</summary>
    private sealed record PictureBody(Guid ImageId, Guid ProjectId, int Version, IEnumerable<UrlRow> Urls)
    {
        public static PictureBody Of(PictureUrls picture) =>
            new(
                picture.ImageId,
                picture.ProjectId,
                picture.Version,
                picture.Urls.Values.OrderBy(x => x.Variant, StringComparer.Ordinal)
            );
    }
}
