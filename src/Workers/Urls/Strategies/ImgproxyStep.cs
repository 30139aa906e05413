using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Pipeline.Workers.Urls.Strategies;

/// <summary>A signed URL of an imgproxy server, which transforms the picture when it is fetched.</summary>
/// <remarks>imgproxy documentation, "Signing a URL" and "Processing an image" (options <c>rs</c>, <c>q</c>, <c>exp</c>).</remarks>
internal sealed class ImgproxyStep(ImgproxyOptions options, string bucket, RemoteCalls calls, TimeProvider clock)
    : IUrlStep
{
    private readonly byte[] _key = Convert.FromHexString(options.Key);
    private readonly byte[] _salt = Convert.FromHexString(options.Salt);

    public string Name => "imgproxy";

    public async Task<StepAnswer> SignAsync(UrlRequest request, CancellationToken cancellation)
    {
        var expires = clock.GetUtcNow() + request.Lifetime;
        var path = PathOf(request, expires.ToUnixTimeSeconds());
        var url = $"{options.Url!.AbsoluteUri.TrimEnd('/')}/{Sign(_key, _salt, path)}{path}";
        var signed = new SignedUrl(url, DateTimeOffset.FromUnixTimeSeconds(expires.ToUnixTimeSeconds()));
        return options.Check
            ? await calls.AskAsync(
                () => new HttpRequestMessage(HttpMethod.Head, url),
                (_, _) => Task.FromResult<StepAnswer>(signed),
                cancellation
            )
            : signed;
    }

    /// <summary>URL-safe Base64 without padding of HMAC-SHA256 over salt and path.</summary>
    public static string Sign(byte[] key, byte[] salt, string path) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(key, (byte[])[.. salt, .. Encoding.UTF8.GetBytes(path)]));

    private string PathOf(UrlRequest request, long expires)
    {
        var variant = request.Variant;
        var path = new StringBuilder();
        if (variant.Width is not null || variant.Height is not null)
            path.Append($"/rs:{ResizeOf(variant.Resize)}:{variant.Width ?? 0}:{variant.Height ?? 0}");
        if (variant.Quality is { } quality)
            path.Append($"/q:{quality}");
        path.Append($"/exp:{expires}/");
        var source = options
            .Source.Replace("{bucket}", bucket, StringComparison.Ordinal)
            .Replace("{key}", request.ObjectKey, StringComparison.Ordinal);
        path.Append(Base64Url.EncodeToString(Encoding.UTF8.GetBytes(source)));
        return variant.Format == Formats.Origin ? path.ToString() : path.Append('.').Append(variant.Format).ToString();
    }

    private static string ResizeOf(string resize) =>
        resize switch
        {
            "cover" => "fill", // imgproxy's "fill" keeps the proportions and crops the rest.
            "contain" => "fit",
            _ => "force",
        };
}
