using System.Globalization;
using System.Net;
using Amazon.S3;
using Amazon.S3.Model;

namespace Pipeline.Workers.Storage;

/// <summary>The object store over the S3 API: AWS, Ceph, SeaweedFS and their like.</summary>
internal sealed class S3ImageStore(
    IAmazonS3 s3,
    StorageOptions options,
    TimeProvider clock,
    ILogger<S3ImageStore> logger
) : IImageStore
{
    // Two puts of one key at the same moment: S3 tells one of them to try again, and by then the other has ended.
    private const int ConflictTries = 5;
    private static readonly TimeSpan ConflictDelay = TimeSpan.FromMilliseconds(100);

    private readonly S3Listings _listings = new(s3, options, clock, logger);

    // The host's name is part of what is signed, so browsers' address is signed for and not the one used here.
    private readonly S3Presigner _presigner = new(
        options.PublicUrl is null ? s3 : S3Client.Create(options, options.PublicUrl),
        options,
        clock
    );

    public Task<PutOutcome> PutOnceAsync(
        string key,
        ReadOnlyMemory<byte> content,
        string contentType,
        CancellationToken cancellation
    )
    {
        ObjectKeys.Check(key);
        return Call($"put {key}", () => PutOnce(key, content, contentType, cancellation), cancellation);
    }

    private async Task<PutOutcome> PutOnce(
        string key,
        ReadOnlyMemory<byte> content,
        string contentType,
        CancellationToken cancellation
    )
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                using var body = new MemoryStream(content.ToArray(), writable: false);
                var request = new PutObjectRequest
                {
                    BucketName = options.Bucket,
                    Key = key,
                    ContentType = contentType,
                    InputStream = body,
                    IfNoneMatch = "*",
                };
                await s3.PutObjectAsync(request, cancellation);
                return PutOutcome.Stored;
            }
            catch (AmazonS3Exception e) when (e.StatusCode == HttpStatusCode.PreconditionFailed)
            {
                return PutOutcome.AlreadyThere;
            }
            catch (AmazonS3Exception e) when (e.StatusCode == HttpStatusCode.Conflict && attempt < ConflictTries)
            {
                await Task.Delay(ConflictDelay * attempt, clock, cancellation);
            }
        }
    }

    public Task<StoredObject?> HeadAsync(string key, CancellationToken cancellation)
    {
        ObjectKeys.Check(key);
        return Call($"look for {key}", HeadOrNull, cancellation);

        async Task<StoredObject?> HeadOrNull()
        {
            var found = await OrNull(Head);
            if (found is null)
                await RequireBucketAsync();
            return found;
        }

        // An answer to HEAD has no body that could name the bucket: "not there" may mean all objects at once.
        async Task RequireBucketAsync() =>
            await s3.ListObjectsV2Async(
                new ListObjectsV2Request { BucketName = options.Bucket, MaxKeys = 0 },
                cancellation
            );

        async Task<StoredObject?> Head()
        {
            var found = await s3.GetObjectMetadataAsync(options.Bucket, key, cancellation);
            return new StoredObject(
                key,
                found.ContentLength,
                S3Answers.Unquoted(found.ETag),
                found.Headers.ContentType,
                S3Answers.Utc(found.LastModified)
            );
        }
    }

    public Task<Stream?> OpenReadAsync(string key, CancellationToken cancellation)
    {
        ObjectKeys.Check(key);
        return Call($"read {key}", () => OrNull(Open), cancellation);

        async Task<Stream?> Open() => (await s3.GetObjectAsync(options.Bucket, key, cancellation)).ResponseStream;
    }

    public Task DeleteAsync(string key, CancellationToken cancellation)
    {
        ObjectKeys.Check(key);
        return Call($"delete {key}", () => s3.DeleteObjectAsync(options.Bucket, key, cancellation), cancellation);
    }

    public Task<IReadOnlyList<FailedDeletion>> DeleteManyAsync(
        IReadOnlyCollection<string> keys,
        CancellationToken cancellation
    )
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keys.Count, IImageStore.PageSize, nameof(keys));
        foreach (var key in keys)
            ListedKeys.Check(key);

        return keys.Count == 0
            ? Task.FromResult<IReadOnlyList<FailedDeletion>>([])
            : Call($"delete {keys.Count} objects", () => DeleteMany(keys, cancellation), cancellation);
    }

    private async Task<IReadOnlyList<FailedDeletion>> DeleteMany(
        IReadOnlyCollection<string> keys,
        CancellationToken cancellation
    )
    {
        var failed = new List<FailedDeletion>();
        var together = keys.Where(ListedKeys.FitXml).ToList();
        if (together.Count > 0)
            failed.AddRange(await DeleteTogether(together, cancellation));
        foreach (var key in keys.Where(x => !ListedKeys.FitXml(x)))
            if (await DeleteAlone(key, cancellation) is { } reason)
                failed.Add(new FailedDeletion(key, reason));
        return failed;
    }

    private async Task<IEnumerable<FailedDeletion>> DeleteTogether(List<string> keys, CancellationToken cancellation)
    {
        try
        {
            var request = new DeleteObjectsRequest
            {
                BucketName = options.Bucket,
                Quiet = true, // Only the failures are listed.
                Objects = [.. keys.Select(key => new KeyVersion { Key = key })],
            };
            await s3.DeleteObjectsAsync(request, cancellation);
            return [];
        }
        catch (DeleteObjectsException e) when (e.Response.DeleteErrors is { Count: > 0 } errors)
        {
            return errors.Select(error => new FailedDeletion(error.Key, $"{error.Code}: {error.Message}"));
        }
    }

    /// <summary>Deletes by URL what no XML holds.</summary>
    /// <returns>Why the store refused; null where it did not.</returns>
    private async Task<string?> DeleteAlone(string key, CancellationToken cancellation)
    {
        if (ObjectKeys.HasDots(key))
            return "No request can name it: XML cannot hold its characters, and a URL not its dots.";

        try
        {
            await s3.DeleteObjectAsync(options.Bucket, key, cancellation);
            return null;
        }
        catch (AmazonS3Exception e) when (e.StatusCode == HttpStatusCode.Forbidden)
        {
            return $"{e.ErrorCode}: {e.Message}"; // As the answer to many at once would say it.
        }
    }

    public Task<ObjectPage> ListAsync(string prefix, string? continuation, CancellationToken cancellation) =>
        Call(
            $"list '{prefix}' after '{continuation}'",
            () => _listings.ReadAsync(prefix, continuation, IImageStore.PageSize, cancellation),
            cancellation
        );

    public Task<ObjectPage> ListAfterAsync(string? after, int limit, CancellationToken cancellation) =>
        Call(
            $"list what comes after '{after}'",
            () => _listings.ReadAsync(prefix: "", after, limit, cancellation),
            cancellation
        );

    public Task<UploadPage> ListUnfinishedAsync(UnfinishedUpload? after, CancellationToken cancellation) =>
        Call(
            $"list unfinished uploads after '{after?.Key}'",
            () => _listings.UnfinishedAsync(after, cancellation),
            cancellation
        );

    public Task AbortAsync(UnfinishedUpload upload, CancellationToken cancellation) =>
        Call(
            $"abort the upload of {upload.Key}",
            () => OrNull(() => s3.AbortMultipartUploadAsync(options.Bucket, upload.Key, upload.UploadId, cancellation)),
            cancellation
        );

    public Task<PresignedUrl> PresignGetAsync(string key, TimeSpan lifetime, CancellationToken cancellation)
    {
        ObjectKeys.Check(key);
        return Call($"presign {key}", () => _presigner.GetAsync(key, lifetime), cancellation);
    }

    public Task EnsureBucketAsync(CancellationToken cancellation)
    {
        return Call($"create the bucket '{options.Bucket}'", Ensure, cancellation);

        async Task<bool> Ensure()
        {
            if (await ExistsAsync())
                return true;

            try
            {
                await s3.PutBucketAsync(new PutBucketRequest { BucketName = options.Bucket }, cancellation);
            }
            catch (AmazonS3Exception e) when (e.ErrorCode is "BucketAlreadyOwnedByYou" or "BucketAlreadyExists")
            {
                // Another process was first; or it is another account's, and then the next line says AccessDenied.
            }

            return await ExistsAsync();
        }

        async Task<bool> ExistsAsync() =>
            await OrNull(() => s3.HeadBucketAsync(new HeadBucketRequest { BucketName = options.Bucket }, cancellation))
                is not null;
    }

    /// <summary>Turns S3's "not there" into null. A bucket that is not there is a wrong setting and stays an error.</summary>
    private static async Task<T?> OrNull<T>(Func<Task<T>> call)
        where T : class?
    {
        try
        {
            return await call();
        }
        catch (AmazonS3Exception e) when (e.StatusCode == HttpStatusCode.NotFound && e.ErrorCode != "NoSuchBucket")
        {
            return null;
        }
    }

    private async Task<T> Call<T>(string what, Func<Task<T>> call, CancellationToken cancellation)
    {
        try
        {
            return await call();
        }
        catch (Exception e)
        {
            if (S3Failures.Translate(e, what, options, cancellation) is { } translated)
                throw translated;
            throw;
        }
    }
}
