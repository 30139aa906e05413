namespace Pipeline.Workers.Urls;

/// <summary>Settings of the URL cache; section <c>Urls</c>.</summary>
internal sealed partial class UrlsOptions
{
    public const string Section = "Urls";

    /// <summary>The least life of a URL that is worth storing: the view withholds one with less than 10 seconds left.</summary>
    public static readonly TimeSpan LifetimeMin = TimeSpan.FromSeconds(30);

    /// <value>How long a URL works: 30 s to 7 days, the limit of presigned ones; default 1 day.</value>
    public TimeSpan Lifetime { get; init; } = TimeSpan.FromDays(1);

    /// <value>
    /// How long before its end a URL's refresh window opens, at most; default 6 h, less than <see cref="Lifetime"/>. Where
    /// credentials shorten a URL's life, a third of that life. The sweep renews at a random moment of the window's
    /// first half, so that URLs signed together are not due together.
    /// </value>
    public TimeSpan RefreshAhead { get; init; } = TimeSpan.FromHours(6);

    /// <value>When a degraded URL is tried again, give or take a quarter: 1 s to 1 day; default 5 min.</value>
    public TimeSpan DegradedRetry { get; init; } = TimeSpan.FromMinutes(5);

    /// <value>Default 5 s: the pause after the first failure is up to this, after the next up to twice that, and so on.</value>
    public TimeSpan BackoffFirst { get; init; } = TimeSpan.FromSeconds(5);

    /// <value>Default 10 min: the longest pause after a failure.</value>
    public TimeSpan BackoffLimit { get; init; } = TimeSpan.FromMinutes(10);

    /// <value>How often pictures without URLs and due ones are looked for: 50 ms to 1 min; default 1 s.</value>
    public TimeSpan SweepEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <value>
    /// How long a worker may sign a batch before another may take it: 1 s to 5 min; default 15 s. What is not signed
    /// after two thirds of it is given back.
    /// </value>
    public TimeSpan ClaimLength { get; init; } = TimeSpan.FromSeconds(15);

    /// <value>How long one call to a server may take: 0.1 s to 1 min, less than half of <see cref="ClaimLength"/>; default 5 s.</value>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <value>Calls to servers at once from one batch: 1 to 64; default 8.</value>
    public int ConcurrentCalls { get; init; } = 8;

    /// <value>
    /// A server that fails half of at least five calls within half a minute is left alone for so long: 0.5 s to 1 h;
    /// default 15 s.
    /// </value>
    public TimeSpan RestLength { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>By name. <c>image</c> and <c>thumbnail</c> are always there; by default S3's presigned URL alone.</summary>
    public Dictionary<string, VariantOptions> Variants { get; init; } = new(StringComparer.Ordinal);

    public ImgproxyOptions Imgproxy { get; init; } = new();

    public SupabaseTransformOptions Supabase { get; init; } = new();

    /// <value>Base address under which the bucket is public, such as a CDN's; the key is appended.</value>
    public Uri? PublicBaseUrl { get; init; }

    /// <value>The picture that is shown where nothing else can be.</value>
    public Uri? PlaceholderUrl { get; init; }
}

/// <summary>One variant of every picture; <c>Urls__Variants__NAME__…</c>.</summary>
internal sealed record VariantOptions
{
    public const string Resizes = "cover, contain, fill";

    /// <value>Steps in the order in which they are tried, with commas: imgproxy, supabase, s3, public, placeholder.</value>
    public string Chain { get; init; } = "s3";

    /// <value>Pixels, 1 to 2,500 (Supabase Storage's limit); null for the original's.</value>
    public int? Width { get; init; }

    /// <inheritdoc cref="Width"/>
    public int? Height { get; init; }

    /// <value><c>cover</c>, <c>contain</c> or <c>fill</c>, where a size is given.</value>
    public string Resize { get; init; } = "cover";

    /// <value>20 to 100; null for the server's own.</value>
    public int? Quality { get; init; }

    /// <value><c>webp</c>, <c>avif</c>, or <c>origin</c> for the original's.</value>
    public string Format { get; init; } = Formats.Origin;

    /// <summary>False where the original is what is wanted.</summary>
    public bool IsTransformed =>
        Width is not null || Height is not null || Quality is not null || Format != Formats.Origin;

    public string[] Steps => Chain.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>Formats that both kinds of server take.</summary>
/// <remarks>
/// Supabase Storage, <c>body/transform/format</c>: <c>origin</c> alone at first, then <c>avif</c>, since v1.53.6 <c>webp</c>;
/// never <c>jpeg</c> or <c>png</c>.
/// </remarks>
internal static class Formats
{
    public const string Origin = "origin";

    public static readonly string[] All = [Origin, "avif", "webp"];
}

/// <summary>An imgproxy server; <c>Urls__Imgproxy__…</c>.</summary>
internal sealed class ImgproxyOptions
{
    /// <value>Base address; null where there is none.</value>
    public Uri? Url { get; init; }

    /// <value>Hexadecimal, as imgproxy's own <c>IMGPROXY_KEY</c>.</value>
    public string Key { get; init; } = "";

    /// <value>Hexadecimal, as imgproxy's own <c>IMGPROXY_SALT</c>.</value>
    public string Salt { get; init; } = "";

    /// <value>How imgproxy reads the original; <c>{bucket}</c> and <c>{key}</c> are filled in.</value>
    public string Source { get; init; } = "s3://{bucket}/{key}";

    /// <value>True asks imgproxy for each new URL (HEAD), so that one that does not work is not handed out.</value>
    public bool Check { get; init; }
}

/// <summary>A Supabase project's storage; <c>Urls__Supabase__…</c>.</summary>
internal sealed class SupabaseTransformOptions
{
    /// <value>The project's address, such as <c>https://abc.supabase.co</c>; null where there is none.</value>
    public Uri? Url { get; init; }

    /// <value>The service role's key.</value>
    public string Key { get; init; } = "";

    /// <value>Null for the bucket of the section Storage.</value>
    public string? Bucket { get; init; }
}
