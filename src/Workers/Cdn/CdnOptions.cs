using Microsoft.Extensions.Options;

namespace Pipeline.Workers.Cdn;

/// <summary>The CDNs that are told of purged objects. Section <c>Cdn</c>; each part that is named must be complete.</summary>
internal sealed class CdnOptions : IValidateOptions<CdnOptions>
{
    public const string Section = "Cdn";

    public CloudFrontOptions? CloudFront { get; init; }

    public CloudinaryOptions? Cloudinary { get; init; }

    public SupabaseOptions? Supabase { get; init; }

    public PurgeOptions? Purge { get; init; }

    /// <summary>How long one request may take. 1 second to 5 minutes.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public ValidateOptionsResult Validate(string? name, CdnOptions options)
    {
        var problems = options.Problems().ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private IEnumerable<string> Problems()
    {
        if (RequestTimeout < TimeSpan.FromSeconds(1) || RequestTimeout > TimeSpan.FromMinutes(5))
            yield return "Cdn:RequestTimeout must be 1 second to 5 minutes.";
        var texts = Texts();
        foreach (var (setting, value) in texts.Where(x => string.IsNullOrWhiteSpace(x.Value)))
            yield return $"Cdn:{setting} is not set, though others of its part are: without it no deletion could end.";
        foreach (var (setting, value) in Addresses().Where(x => !IsAddress(x.Value)))
            yield return $"Cdn:{setting} '{value}' must be an http or https address.";
    }

    private List<(string Setting, string? Value)> Texts()
    {
        var texts = new List<(string, string?)>();
        if (CloudFront is { } front)
        {
            texts.Add(("CloudFront:DistributionId", front.DistributionId));
            texts.Add(("CloudFront:AccessKey", front.AccessKey));
            texts.Add(("CloudFront:SecretKey", front.SecretKey));
        }

        if (Cloudinary is { } cloud)
        {
            texts.Add(("Cloudinary:CloudName", cloud.CloudName));
            texts.Add(("Cloudinary:ApiKey", cloud.ApiKey));
            texts.Add(("Cloudinary:ApiSecret", cloud.ApiSecret));
        }

        if (Supabase is { } supabase)
        {
            texts.Add(("Supabase:Bucket", supabase.Bucket));
            texts.Add(("Supabase:ServiceKey", supabase.ServiceKey));
        }

        return texts;
    }

    private IEnumerable<(string Setting, string? Value)> Addresses()
    {
        if (CloudFront is { } front)
            yield return ("CloudFront:Endpoint", front.Endpoint);
        if (Cloudinary is { } cloud)
            yield return ("Cloudinary:Endpoint", cloud.Endpoint);
        if (Supabase is { } supabase)
            yield return ("Supabase:Url", supabase.Url);
        if (Purge is { } purge)
            yield return ("Purge:Url", purge.Url);
    }

    private static bool IsAddress(string? text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https";
}

/// <summary>Amazon CloudFront.</summary>
internal sealed class CloudFrontOptions
{
    public string? DistributionId { get; init; }

    /// <summary>Of an identity that may do <c>cloudfront:CreateInvalidation</c> on the distribution.</summary>
    public string? AccessKey { get; init; }

    public string? SecretKey { get; init; }

    /// <summary>
    /// Path of an object, with <c>{key}</c> in it; a <c>*</c> at the end covers every query string. CloudFront takes no
    /// more than 15 of those at once: for more objects their common prefix is told.
    /// </summary>
    public string Path { get; init; } = "/{key}*";

    /// <summary>CloudFront's API has one address for all regions.</summary>
    public string Endpoint { get; init; } = "https://cloudfront.amazonaws.com";
}

/// <summary>Cloudinary, where pictures are kept under public ids made of their keys.</summary>
internal sealed class CloudinaryOptions
{
    public string? CloudName { get; init; }

    public string? ApiKey { get; init; }

    public string? ApiSecret { get; init; }

    /// <summary>Public id of an object, with <c>{key}</c>, the key without its extension, in it.</summary>
    public string PublicId { get; init; } = "{key}";

    public string Endpoint { get; init; } = "https://api.cloudinary.com";
}

/// <summary>Supabase's smart CDN in front of its storage.</summary>
internal sealed class SupabaseOptions
{
    /// <summary>The project's address, such as <c>https://abc.supabase.co</c>.</summary>
    public string? Url { get; init; }

    public string? Bucket { get; init; }

    /// <summary>The service role's key.</summary>
    public string? ServiceKey { get; init; }
}

/// <summary>Any cache that takes the method PURGE, such as Varnish, Squid or nginx with its purge module.</summary>
internal sealed class PurgeOptions
{
    /// <summary>What the key is appended to, such as <c>https://cdn.example.org/</c>.</summary>
    public string? Url { get; init; }

    /// <summary>The header <c>Authorization</c>, if the cache wants one.</summary>
    public string? Authorization { get; init; }
}
