using System.Globalization;
using System.Text;
using System.Xml.Linq;

namespace Pipeline.Workers.Cdn;

/// <summary>CloudFront's <c>CreateInvalidation</c> (API reference, version 2020-05-31).</summary>
internal sealed class CloudFrontCdn(CloudFrontOptions options, HttpClient client, TimeProvider clock) : ICdn
{
    // CloudFront is a global service; its requests are signed for this region (IAM user guide, "SigV4 signing").
    private const string Region = "us-east-1";
    private const string Service = "cloudfront";

    // Paths with a wildcard that may be in progress (developer guide, "Quotas on invalidations").
    private const int WildcardLimit = 15;

    // Errors that are answered with 400 and pass by themselves (API reference, CreateInvalidation and common errors).
    private static readonly string[] Passing = ["TooManyInvalidationsInProgress", "Throttling"];

    private static readonly XNamespace Xml = "http://cloudfront.amazonaws.com/doc/2020-05-31/";

    public string Name => "cloudfront";

    public async Task InvalidateAsync(IReadOnlyList<string> keys, string reference, CancellationToken cancellation)
    {
        var body = Body(keys, reference);
        var address = new Uri(
            new Uri(options.Endpoint!),
            $"/2020-05-31/distribution/{Uri.EscapeDataString(options.DistributionId!)}/invalidation"
        );
        var signed = SigV4.Sign(
            new SigV4Request(HttpMethod.Post.Method, address, body, Region, Service),
            options.AccessKey!,
            options.SecretKey!,
            clock.GetUtcNow()
        );
        var request = new HttpRequestMessage(HttpMethod.Post, address)
        {
            Content = new ByteArrayContent(body) { Headers = { ContentType = new("text/xml") } },
        };
        foreach (var (name, value) in signed)
            request.Headers.TryAddWithoutValidation(name, value);
        try
        {
            await CdnCaller.SendAsync(client, request, _ => false, cancellation);
        }
        catch (CdnRefusedException e)
            when (Passing.Any(x => e.Message.Contains($"<Code>{x}", StringComparison.Ordinal)))
        {
            throw new CdnUnavailableException(e.Message, e);
        }
    }

    /// <summary>
    /// The same reference with the same paths is the same invalidation: CloudFront answers with the first one. With
    /// other paths it is an error, so the paths of a reference never change.
    /// </summary>
    private byte[] Body(IReadOnlyList<string> keys, string reference)
    {
        var paths = PathsOf(keys);
        var batch = new XElement(
            Xml + "InvalidationBatch",
            new XElement(Xml + "CallerReference", reference),
            new XElement(
                Xml + "Paths",
                new XElement(Xml + "Items", paths.Select(x => new XElement(Xml + "Path", x))),
                new XElement(Xml + "Quantity", paths.Length.ToString(CultureInfo.InvariantCulture))
            )
        );
        return Encoding.UTF8.GetBytes(
            $"""<?xml version="1.0" encoding="UTF-8"?>{batch.ToString(SaveOptions.DisableFormatting)}"""
        );
    }

    /// <summary>
    /// One path an object; where there would be more wildcards than are taken at once, one for all that the objects'
    /// paths begin with. Objects of one deletion stand under one prefix, and all that is under it goes.
    /// </summary>
    private string[] PathsOf(IReadOnlyList<string> keys)
    {
        string[] paths = [.. keys.Select(x => options.Path.Replace("{key}", CdnPath.Of(x), StringComparison.Ordinal))];
        if (!options.Path.EndsWith('*') || paths.Length <= WildcardLimit)
            return paths;
        var shared = paths[0].AsSpan();
        foreach (var path in paths)
            shared = shared[..shared.CommonPrefixLength(path)];
        return [$"{shared}*"];
    }
}
