using Amazon.S3;
using Amazon.S3.Model;

namespace Pipeline.SystemTests.Harness;

/// <summary>A bucket of a test's own on the real S3 server; whoever is told its name makes it, and it goes with the test.</summary>
internal sealed class ScratchBucket : IAsyncDisposable
{
    public string Name { get; } = Scratch.NewBucketName();

    public AmazonS3Client Client { get; } = Scratch.NewStoreClient();

    /// <summary>Makes a bucket, as <c>migrate</c> does.</summary>
    public static async Task MakeAsync(string name)
    {
        using var client = Scratch.NewStoreClient();
        await client.PutBucketAsync(name);
    }

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

    public async ValueTask DisposeAsync() =>
        await Scratch.RemoveLaterAsync(async () =>
        {
            await Scratch.RemoveBucketAsync(Client, Name);
            Client.Dispose();
        });
}
