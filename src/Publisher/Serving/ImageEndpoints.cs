using Pipeline.Publisher.Status;
using Pipeline.Publisher.Storage;

namespace Pipeline.Publisher.Serving;

/// <summary>Pictures: a redirect, so that no byte of them passes through here.</summary>
internal static class ImageEndpoints
{
    /// <summary>How long a presigned URL works. Long enough for a slow page, too short to be passed around.</summary>
    public static readonly TimeSpan SignedFor = TimeSpan.FromMinutes(15);

    /// <summary>How long a browser may reuse the redirect: always less than the URL behind it works.</summary>
    public static readonly TimeSpan CachedFor = TimeSpan.FromMinutes(10);

    public static void MapImages(this IEndpointRouteBuilder routes) =>
        routes.MapGet(
            "/images/{image:guid}/{version:int}",
            async (
                Guid image,
                int version,
                HttpResponse response,
                ProjectReads reads,
                S3Store store,
                TimeProvider clock,
                CancellationToken cancellation
            ) =>
            {
                // An earlier version's bytes may be gone, and what waits or is deleted is nobody's to see.
                if (await reads.ImageAsync(image, cancellation) is not { State: "shown" } row || row.Version != version)
                    return Problems.NotFound("image-not-found", $"Picture {image} is not shown in version {version}.");

                var url = await store.SignAsync(row.ObjectKey, clock.GetUtcNow() + SignedFor);
                response.Headers.CacheControl = $"private, max-age={(int)CachedFor.TotalSeconds}";
                return Results.Redirect(url);
            }
        );
}
