using Amazon.Runtime;
using Amazon.S3;

namespace Pipeline.Workers.Storage;

/// <summary>AWSSDK.S3 with the settings that AWS and the self-hosted servers have in common.</summary>
internal static class S3Client
{
    /// <param name="options">The store.</param>
    /// <param name="address">Where it is reached; null for AWS.</param>
    public static AmazonS3Client Create(StorageOptions options, string? address)
    {
        var config = new AmazonS3Config
        {
            // The newer checksum trailers are refused by Ceph and by other servers.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            Timeout = options.RequestTimeout,
            MaxErrorRetry = options.RequestRetries,
            HttpClientFactory = new ListingClients(),
        };

        if (address is null)
        {
            config.RegionEndpoint = Amazon.RegionEndpoint.GetBySystemName(options.Region);
            config.ForcePathStyle = options.ForcePathStyle ?? false;
        }
        else
        {
            config.ServiceURL = address;
            config.AuthenticationRegion = options.Region;
            config.ForcePathStyle = options.ForcePathStyle ?? true;
        }

        return string.IsNullOrEmpty(options.AccessKey)
            ? new AmazonS3Client(config)
            : new AmazonS3Client(new BasicAWSCredentials(options.AccessKey, options.SecretKey), config);
    }
}
