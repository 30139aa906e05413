using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

namespace Pipeline.Workers.Urls.Strategies;

/// <summary>A signed URL of Supabase Storage: transformed into a format, or of the original.</summary>
/// <remarks>
/// Supabase Storage API, <c>POST /object/sign/{bucket}/{path}</c>. Where transformations are switched off the server drops
/// them and answers 200 with the original's URL, so only a path below <c>/render/image/sign/</c> is what was asked for.
/// </remarks>
internal sealed class SupabaseStep : IUrlStep
{
    /// <summary>Of the original, untransformed.</summary>
    public const string Plain = "plain";

    private const string Transformed = "/render/image/sign/";
    private const string Original = "/object/sign/";

    private readonly SupabaseTransformOptions _options;
    private readonly string _bucket;
    private readonly string _format;
    private readonly RemoteCalls _calls;
    private readonly TimeProvider _clock;
    private readonly string _root;

    /// <param name="options">The project.</param>
    /// <param name="bucket">The bucket, where the options name none.</param>
    /// <param name="format">A format of <see cref="Formats"/>, or <see cref="Plain"/>.</param>
    /// <param name="calls">To the project's server.</param>
    /// <param name="clock">From which lives count.</param>
    /// <exception cref="ArgumentException">A format that the API has never allowed; the options' rules have refused it before.</exception>
    public SupabaseStep(
        SupabaseTransformOptions options,
        string bucket,
        string format,
        RemoteCalls calls,
        TimeProvider clock
    )
    {
        if (format != Plain && !Formats.All.Contains(format, StringComparer.Ordinal))
            throw new ArgumentException($"Supabase Storage does not take the format '{format}'.", nameof(format));
        (_options, _bucket, _format, _calls, _clock) = (options, options.Bucket ?? bucket, format, calls, clock);
        _root = $"{options.Url!.AbsoluteUri.TrimEnd('/')}/storage/v1";
    }

    public string Name => $"supabase-{_format}";

    public Task<StepAnswer> SignAsync(UrlRequest request, CancellationToken cancellation)
    {
        var asked = _clock.GetUtcNow();
        var seconds = (long)request.Lifetime.TotalSeconds;
        return _calls.AskAsync(
            () =>
            {
                var post = new HttpRequestMessage(HttpMethod.Post, $"{_root}{Original}{_bucket}/{request.ObjectKey}")
                {
                    Content = JsonContent.Create(Body(request.Variant, seconds)),
                };
                post.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _options.Key);
                post.Headers.Add("apikey", _options.Key);
                return post;
            },
            async (answer, token) =>
                Read(await answer.Content.ReadAsStringAsync(token), asked + TimeSpan.FromSeconds(seconds)),
            cancellation
        );
    }

    private Dictionary<string, object> Body(VariantOptions variant, long seconds)
    {
        var body = new Dictionary<string, object>(StringComparer.Ordinal) { ["expiresIn"] = seconds };
        if (_format == Plain)
            return body;

        var transform = new Dictionary<string, object>(StringComparer.Ordinal) { ["format"] = _format };
        if (variant.Width is { } width)
            transform["width"] = width;
        if (variant.Height is { } height)
            transform["height"] = height;
        if (variant.Width is not null || variant.Height is not null)
            transform["resize"] = variant.Resize;
        if (variant.Quality is { } quality)
            transform["quality"] = quality;
        body["transform"] = transform;
        return body;
    }

    private StepAnswer Read(string json, DateTimeOffset expires)
    {
        if (SignedPath(json) is not { } path)
            return new StepFailure(StepFailures.UnexpectedAnswer, "The answer has no signedURL below /.");
        if (path.StartsWith(Transformed, StringComparison.Ordinal))
            return new SignedUrl(_root + path, expires);
        if (!path.StartsWith(Original, StringComparison.Ordinal))
            return new StepFailure(StepFailures.UnexpectedAnswer, "The answer's signedURL is of no known kind.");
        return _format == Plain
            ? new SignedUrl(_root + path, expires)
            : new SignedUrl(
                _root + path,
                expires,
                new StepFailure(StepFailures.NotTransformed, "The server signed the original: it does not transform.")
            );
    }

    private static string? SignedPath(string json)
    {
        try
        {
            using var answer = JsonDocument.Parse(json);
            return
                answer.RootElement.ValueKind == JsonValueKind.Object
                && answer.RootElement.TryGetProperty("signedURL", out var url)
                && url.ValueKind == JsonValueKind.String
                && url.GetString() is { } path
                && path.StartsWith('/')
                ? path
                : null;
        }
        catch (JsonException)
        {
            return null; // Not what the API answers; the caller says so.
        }
    }
}
