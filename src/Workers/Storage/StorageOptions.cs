using System.Net;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;

namespace Pipeline.Workers.Storage;

/// <summary>Where the object store is. Section <c>Storage</c>.</summary>
internal sealed partial class StorageOptions : IValidateOptions<StorageOptions>
{
    public const string Section = "Storage";

    /// <summary>Address of an S3 server, such as <c>http://127.0.0.1:8333</c>; null for AWS itself.</summary>
    public string? ServiceUrl { get; init; }

    /// <summary>The same server as browsers reach it, for which URLs are signed; null where that is <see cref="ServiceUrl"/>.</summary>
    public string? PublicUrl { get; init; }

    /// <summary>Region of the bucket, also signed for; other servers than AWS usually take any.</summary>
    public string Region { get; init; } = "us-east-1";

    public string Bucket { get; init; } = "";

    /// <summary>Null, together with <see cref="SecretKey"/>: the AWS SDK looks for credentials where it always does.</summary>
    public string? AccessKey { get; init; }

    public string? SecretKey { get; init; }

    /// <summary>The bucket in the path instead of the host's name. Null: true where <see cref="ServiceUrl"/> is set.</summary>
    public bool? ForcePathStyle { get; init; }

    /// <summary>How long one request may take, its whole answer included. 0.1 seconds to 10 minutes.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often the SDK repeats a request by itself after the first try, within about a second. 0 to 10.</summary>
    public int RequestRetries { get; init; } = 2;

    /// <summary>True where browsers speak to the store in plain text.</summary>
    public bool IsPlainHttp =>
        (PublicUrl ?? ServiceUrl)?.StartsWith("http://", StringComparison.OrdinalIgnoreCase) == true;

    public ValidateOptionsResult Validate(string? name, StorageOptions options)
    {
        var problems = options.Problems().ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private IEnumerable<string> Problems()
    {
        if (Bucket.Length == 0)
            yield return "Storage:Bucket is not set: name the bucket that holds the pictures.";
        else if (!BucketName().IsMatch(Bucket) || IPAddress.TryParse(Bucket, out _))
            yield return $"Storage:Bucket '{Bucket}' is no bucket name: 3 to 63 lower-case letters, digits, dots and hyphens.";
        if (ServiceUrl is not null && !IsServerAddress(ServiceUrl))
            yield return $"Storage:ServiceUrl '{ServiceUrl}' must be http://HOST[:PORT] or https://HOST[:PORT] and no more.";
        if (PublicUrl is not null && !IsServerAddress(PublicUrl))
            yield return $"Storage:PublicUrl '{PublicUrl}' must be http://HOST[:PORT] or https://HOST[:PORT] and no more.";
        if (string.IsNullOrWhiteSpace(Region))
            yield return "Storage:Region is empty: name the bucket's region, such as us-east-1.";
        if (string.IsNullOrEmpty(AccessKey) != string.IsNullOrEmpty(SecretKey))
            yield return "Storage:AccessKey and Storage:SecretKey go together: set both, or neither for the SDK's own search.";
        if (RequestTimeout < TimeSpan.FromMilliseconds(100) || RequestTimeout > TimeSpan.FromMinutes(10))
            yield return $"Storage:RequestTimeout is {RequestTimeout}: it must be 0.1 seconds to 10 minutes.";
        if (RequestRetries is < 0 or > 10)
            yield return $"Storage:RequestRetries is {RequestRetries}: it must be 0 to 10.";
    }

    private static bool IsServerAddress(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address)
        && (address.Scheme == Uri.UriSchemeHttp || address.Scheme == Uri.UriSchemeHttps)
        && address.UserInfo.Length == 0
        && address.PathAndQuery == "/"
        && address.Fragment.Length == 0;

    // Amazon S3 user guide, "General purpose bucket naming rules".
    [GeneratedRegex(@"\A[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]\z", RegexOptions.CultureInvariant, 1_000)]
    private static partial Regex BucketName();
}
