using Pipeline.Publisher.Urls;

namespace Pipeline.Publisher.Serving;

/// <summary>
/// Pictures: a redirect, so that no byte of them passes through here. The path is stable and changes with the bytes,
/// so it is what documents hold; the URL behind it is found when it is read.
/// </summary>
internal static class ImageEndpoints
{
    /// <summary>When the URL ends, as RFC 3339.</summary>
    public const string ExpiresHeader = "X-Url-Expires";

    /// <summary>The step that signed it.</summary>
    public const string StrategyHeader = "X-Url-Strategy";

    /// <summary><c>true</c> where it is less than what the variant's chain wants; absent otherwise.</summary>
    public const string DegradedHeader = "X-Url-Degraded";

    /// <summary>How long a browser may reuse a redirect at most, so that a deleted picture is asked for again.</summary>
    public static readonly TimeSpan CachedFor = TimeSpan.FromMinutes(10);

    // A URL that is about to be renewed: less than the life that every URL has left when it is handed out.
    private static readonly TimeSpan DueCachedFor = TimeSpan.FromSeconds(5);

    private static readonly string[] Reading = [HttpMethods.Get, HttpMethods.Head];

    public static void MapImages(this IEndpointRouteBuilder routes)
    {
        routes.MapMethods(
            "/images/{image:guid}/{version:int}",
            Reading,
            (Guid image, int version, HttpContext context, UrlDesk desk, CancellationToken cancellation) =>
                RedirectAsync(image, version, UrlLinks.Original, context, desk, cancellation)
        );
        routes.MapMethods("/images/{image:guid}/{version:int}/{variant}", Reading, RedirectAsync);
    }

    private static async Task<IResult> RedirectAsync(
        Guid image,
        int version,
        string variant,
        HttpContext context,
        UrlDesk desk,
        CancellationToken cancellation
    )
    {
        // An earlier version's bytes may be gone, and what waits or is deleted is nobody's to see.
        if (await desk.ResolveAsync([image], cancellation) is not [var picture] || picture.Version != version)
            return Problems.NotFound("image-not-found", $"Picture {image} is not shown in version {version}.");
        if (!picture.Urls.TryGetValue(variant, out var url))
            return Problems.NotFound(
                "variant-not-found",
                $"There is no variant '{variant}': there are {string.Join(", ", picture.Urls.Keys)}."
            );

        var headers = context.Response.Headers;
        headers.CacheControl = $"private, max-age={(int)MaxAge(picture, url).TotalSeconds}";
        headers.ETag = ETags.Of(url.Url);
        headers[ExpiresHeader] = url.ExpiresAt.UtcDateTime.ToString("O");
        headers[StrategyHeader] = url.Strategy;
        if (url.Degraded)
            headers[DegradedHeader] = "true";
        return ETags.IsKnown(context.Request, headers.ETag.ToString())
            ? Results.StatusCode(StatusCodes.Status304NotModified)
            : Results.Redirect(url.Url);
    }

    /// <summary>Until the refresh window opens: within it the next reader gets another URL.</summary>
    private static TimeSpan MaxAge(PictureUrls picture, UrlRow url)
    {
        var left = url.RefreshAfter - picture.ReadAt;
        return left < DueCachedFor ? DueCachedFor
            : left < CachedFor ? left
            : CachedFor;
    }
}
