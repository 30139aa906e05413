using Amazon;
using Amazon.Runtime;
using Amazon.Runtime.Credentials;
using Amazon.S3;
using Amazon.S3.Model;
using Pipeline.Publisher.Settings;

namespace Pipeline.Publisher.Storage;

/// <summary>What the publisher does with the object store: hand bytes in, look at what was handed in, and sign URLs.</summary>
internal sealed class S3Store(StorageSettings settings, TimeProvider clock) : IDisposable
{
    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(60);
    private const int RequestRetries = 4;

    private readonly AmazonS3Client _s3 = Client(settings, settings.ServiceUrl);

    // Signing needs no connection, but the host's name is part of what is signed.
    private readonly AmazonS3Client _signer = Client(settings, settings.PublicUrl ?? settings.ServiceUrl);

    /// <summary>Puts the bytes where the workers' import looks for them.</summary>
    /// <param name="key">Under <c>uploads/</c>; derived from the command, so that a second run writes the same object.</param>
    /// <param name="content">Read to its end; not disposed.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <exception cref="AmazonServiceException">The store refused it: see <see cref="StorageFailures"/>.</exception>
    /// <exception cref="StorageException">The store did not answer, the SDK's own retries included.</exception>
    public Task UploadAsync(string key, Stream content, CancellationToken cancellation) =>
        CallAsync(
            () =>
                _s3.PutObjectAsync(
                    new PutObjectRequest
                    {
                        BucketName = settings.Bucket,
                        Key = key,
                        InputStream = content,
                        AutoCloseStream = false,
                        // What it is, the workers find out from the bytes.
                        ContentType = "application/octet-stream",
                    },
                    cancellation
                ),
            cancellation
        );

    /// <summary>The object and when it came; null when it is not there. The caller disposes it.</summary>
    /// <inheritdoc cref="UploadAsync" path="/exception"/>
    public Task<GetObjectResponse?> OpenAsync(string key, CancellationToken cancellation) =>
        CallAsync(
            async () =>
            {
                try
                {
                    return (GetObjectResponse?)await _s3.GetObjectAsync(settings.Bucket, key, cancellation);
                }
                catch (AmazonS3Exception e) when (e.ErrorCode == "NoSuchKey")
                {
                    return null;
                }
            },
            cancellation
        );

    /// <inheritdoc cref="UploadAsync" path="/exception"/>
    public Task DeleteAsync(string key, CancellationToken cancellation) =>
        CallAsync(() => _s3.DeleteObjectAsync(settings.Bucket, key, cancellation), cancellation);

    /// <summary>A URL that reads the object without credentials until it expires.</summary>
    /// <param name="key">The object.</param>
    /// <param name="lifetime">1 second to 7 days, SigV4's limit.</param>
    /// <returns>With its end, which is earlier where that of the credentials is.</returns>
    /// <exception cref="StorageException">The credentials have ended, or their end is not known.</exception>
    public async Task<(string Url, DateTimeOffset ExpiresAt)> SignAsync(string key, TimeSpan lifetime)
    {
        var now = clock.GetUtcNow();
        var expires = DateTimeOffset.FromUnixTimeSeconds((now + lifetime).ToUnixTimeSeconds());
        if (await CredentialsEndAsync() is { } end && end < expires)
            expires = end;
        return expires > now
            ? (await _signer.GetPreSignedURLAsync(Presigned(key, HttpVerb.GET, expires)), expires)
            : throw new StorageException($"The credentials ended at {expires:u}; a URL cannot be signed with them.");
    }

    /// <summary>A URL that takes one object of this length, without credentials, until it expires.</summary>
    /// <param name="key">Under <c>uploads/</c>.</param>
    /// <param name="length">Bytes. It is signed: the store refuses a body of another length.</param>
    /// <param name="expires">At most 7 days from now.</param>
    public Task<string> SignUploadAsync(string key, long length, DateTimeOffset expires)
    {
        var request = Presigned(key, HttpVerb.PUT, expires);
        request.Headers.ContentLength = length;
        return _signer.GetPreSignedURLAsync(request);
    }

    public void Dispose()
    {
        _s3.Dispose();
        _signer.Dispose();
    }

    private GetPreSignedUrlRequest Presigned(string key, HttpVerb verb, DateTimeOffset expires) =>
        new()
        {
            BucketName = settings.Bucket,
            Key = key,
            Verb = verb,
            Expires = expires.UtcDateTime,
            // The SDK's own choice is https, whatever the address says.
            Protocol =
                (settings.PublicUrl ?? settings.ServiceUrl)?.Scheme == Uri.UriSchemeHttp
                    ? Protocol.HTTP
                    : Protocol.HTTPS,
        };

    /// <summary>When the credentials end, and every URL signed with them; null if never.</summary>
    private async Task<DateTimeOffset?> CredentialsEndAsync()
    {
        if (settings.AccessKey is not null)
            return null;
        var credentials =
            _signer.Config.DefaultAWSCredentials ?? DefaultAWSCredentialsIdentityResolver.GetCredentials();
        if (!(await credentials.GetCredentialsAsync()).UseToken)
            return null;
        return credentials.Expiration is { } end
            ? new DateTimeOffset(end.ToUniversalTime())
            : throw new StorageException(
                "URLs cannot be signed with a session token whose end is not known: use a role or long-lived keys."
            );
    }

    private static async Task<T> CallAsync<T>(Func<Task<T>> call, CancellationToken cancellation)
    {
        try
        {
            return await call();
        }
        catch (Exception e) when (e is HttpRequestException or TimeoutException)
        {
            throw NoAnswer(e);
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            // HttpClient's time-out looks like a cancellation, and is none.
            throw NoAnswer(e);
        }
    }

    private static StorageException NoAnswer(Exception e) =>
        new($"The object store does not answer at Storage__ServiceUrl: {e.GetBaseException().Message}", e);

    private static AmazonS3Client Client(StorageSettings settings, Uri? address)
    {
        var config = new AmazonS3Config
        {
            // Newer checksum trailers are refused by Ceph and others.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            Timeout = RequestTimeout,
            MaxErrorRetry = RequestRetries,
        };
        if (address is null)
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(settings.Region);
        else
        {
            config.ServiceURL = address.AbsoluteUri;
            config.AuthenticationRegion = settings.Region;
            config.ForcePathStyle = true;
        }

        return settings is { AccessKey: { } access, SecretKey: { } secret }
            ? new AmazonS3Client(new BasicAWSCredentials(access, secret), config)
            : new AmazonS3Client(config);
    }
}
