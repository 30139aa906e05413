using System.Globalization;
using System.Web;
using Amazon.Runtime;
using Amazon.Runtime.Credentials;
using Amazon.S3;
using Amazon.S3.Model;

namespace Pipeline.Workers.Storage;

/// <summary>Signs URLs, and says when each one really ends.</summary>
internal sealed class S3Presigner(IAmazonS3 s3, StorageOptions options, TimeProvider clock)
{
    // Amazon S3 API reference, "Authenticating Requests: Using Query Parameters".
    private const string SignatureVersion4 = "X-Amz-Algorithm=AWS4-HMAC-SHA256";

    public async Task<PresignedUrl> GetAsync(string key, TimeSpan lifetime)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lifetime, TimeSpan.FromSeconds(1));
        // Beyond it some regions throw, and us-east-1 silently signs in another way.
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lifetime, IImageStore.PresignLimit);

        // A signature counts from the whole second in which it is made.
        var expiresAt = DateTimeOffset.FromUnixTimeSeconds((clock.GetUtcNow() + lifetime).ToUnixTimeSeconds());
        if (await CredentialsEndAsync() is { } end && end < expiresAt)
            expiresAt = end;

        var request = new GetPreSignedUrlRequest
        {
            BucketName = options.Bucket,
            Key = key,
            Verb = HttpVerb.GET,
            Protocol = options.IsPlainHttp ? Protocol.HTTP : Protocol.HTTPS, // The SDK takes https by itself.
            Expires = expiresAt.UtcDateTime,
        };
        var url = new Uri(await s3.GetPreSignedURLAsync(request));
        // Where the SDK falls back to the older signature it says nothing, and the URL works in some regions only.
        if (!url.Query.Contains(SignatureVersion4, StringComparison.Ordinal))
            throw new StorageMisconfiguredException("The SDK did not sign with Signature Version 4.");
        var signedUntil = EndOf(url);
        return new PresignedUrl(url, signedUntil < expiresAt ? signedUntil : expiresAt);
    }

    /// <summary>The end that the store reads out of the URL. The SDK rounds, by up to a second.</summary>
    private static DateTimeOffset EndOf(Uri url)
    {
        var query = HttpUtility.ParseQueryString(url.Query);
        var signedAt = DateTimeOffset.ParseExact(
            query["X-Amz-Date"]!,
            "yyyyMMdd'T'HHmmss'Z'",
            CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal
        );
        return signedAt.AddSeconds(long.Parse(query["X-Amz-Expires"]!, CultureInfo.InvariantCulture));
    }

    /// <summary>When the credentials end, and every URL signed with them; null if never.</summary>
    private async Task<DateTimeOffset?> CredentialsEndAsync()
    {
        if (!string.IsNullOrEmpty(options.AccessKey))
            return null;

        var credentials = s3.Config.DefaultAWSCredentials ?? DefaultAWSCredentialsIdentityResolver.GetCredentials();
        var current = await credentials.GetCredentialsAsync();
        if (!current.UseToken)
            return null;

        // A URL that ends without a warning breaks a picture that nobody looks after.
        return credentials.Expiration is { } end
            ? new DateTimeOffset(end.ToUniversalTime())
            : throw new StorageMisconfiguredException(
                "URLs cannot be signed with a session token whose end is not known: use a role or long-lived keys."
            );
    }
}
