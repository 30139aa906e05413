using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace Pipeline.SystemTests.Harness;

/// <summary>A bucket of a test's own on the real S3 server; whoever is told its name makes it, and it goes with the test.</summary>
internal sealed class ScratchBucket : IAsyncDisposable
{
    public string Name { get; } = $"t-{Guid.NewGuid():N}";

    public AmazonS3Client Client { get; } =
        new(
            new BasicAWSCredentials(Stack.Required("Storage__AccessKey"), Stack.Required("Storage__SecretKey")),
            new AmazonS3Config
            {
                ServiceURL = Stack.Required("Storage__ServiceUrl"),
                ForcePathStyle = true,
                AuthenticationRegion = Stack.Required("Storage__Region"),
                RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
                ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            }
        );

    /// <summary>Every key, in the order of the listing.</summary>
    public async Task<List<string>> KeysAsync(string prefix = "")
    {
        var keys = new List<string>();
        var request = new ListObjectsV2Request { BucketName = Name, Prefix = prefix };
        while (true)
        {
            var page = await Client.ListObjectsV2Async(request);
            keys.AddRange((page.S3Objects ?? []).Select(x => x.Key));
            if (page.IsTruncated != true)
                return keys;
            request.ContinuationToken = page.NextContinuationToken;
        }
    }

    public async Task PutAsync(string key, byte[] bytes)
    {
        using var content = new MemoryStream(bytes);
        await Client.PutObjectAsync(
            new PutObjectRequest
            {
                BucketName = Name,
                Key = key,
                InputStream = content,
            }
        );
    }

    /// <summary>As many in one request as the protocol allows.</summary>
    public async Task DeleteAsync(IEnumerable<string> keys)
    {
        foreach (var some in keys.Chunk(1_000))
            await Client.DeleteObjectsAsync(
                new DeleteObjectsRequest
                {
                    BucketName = Name,
                    Objects = [.. some.Select(x => new KeyVersion { Key = x })],
                }
            );
    }

    public async ValueTask DisposeAsync()
    {
        await DeleteAsync(await KeysAsync());
        await Client.DeleteBucketAsync(Name);
        Client.Dispose();
    }
}
