using System.Net;
using System.Text.RegularExpressions;
using Amazon.S3;
using Amazon.S3.Model;

namespace Pipeline.Workers.Storage;

/// <summary>Reads the bucket's listings, whatever its keys are made of.</summary>
/// <remarks>
/// S3 takes keys that XML 1.0 cannot hold, such as one with U+FFFE. So the store is asked to encode them
/// (<c>encoding-type</c> of "ListObjectsV2"), and where its answer says that it did they are decoded here: AWSSDK leaves
/// that to its caller.
/// A page goes on behind the last key and not at the store's token, which is encoded by some and not by others.
/// </remarks>
internal sealed partial class S3Listings(IAmazonS3 s3, StorageOptions options, TimeProvider clock, ILogger logger)
{
    // S3 may answer with a page that has no key and is not the last one, for instance among many deleted versions.
    private const int EmptyPageLimit = 1_000;

    // An answer that broke off on its way can be read the next time; one that no XML can be made of cannot.
    private const int ReadTries = 3;
    private static readonly TimeSpan ReadDelay = TimeSpan.FromMilliseconds(200);

    /// <param name="prefix">The beginning of the keys; empty for all.</param>
    /// <param name="after">The key before the first one that is wanted; null for the first of all.</param>
    /// <param name="limit">1 to <see cref="IImageStore.PageSize"/>.</param>
    /// <param name="cancellation">The caller's.</param>
    public async Task<ObjectPage> ReadAsync(string prefix, string? after, int limit, CancellationToken cancellation)
    {
        string? token = null;
        for (var pages = 0; pages < EmptyPageLimit; pages++)
        {
            var request = new ListObjectsV2Request
            {
                BucketName = options.Bucket,
                Prefix = prefix.Length == 0 ? null : prefix,
                StartAfter = after,
                ContinuationToken = token,
                MaxKeys = limit,
                Encoding = EncodingType.Url,
            };
            var page = await TryAsync(() => ReadAsync(request, cancellation), cancellation);
            var objects = Objects(page);
            // Who asks behind the last key of such a page would be given the same page for ever.
            if (objects.Count > 0 && after is not null && KeyOrder.Compare(objects[^1].Key, after) <= 0)
                throw new InvalidDataException("It does not go on behind the key that was asked for.");
            if (page.IsTruncated != true)
                return new ObjectPage(objects, Continuation: null);
            if (objects.Count > 0)
                return new ObjectPage(objects, objects[^1].Key);
            token = page.NextContinuationToken ?? throw new InvalidDataException("It does not say where it goes on.");
        }

        throw new InvalidDataException($"It has no key in {EmptyPageLimit} pages and goes on.");
    }

    /// <inheritdoc cref="IImageStore.ListUnfinishedAsync"/>
    public async Task<UploadPage> UnfinishedAsync(UnfinishedUpload? after, CancellationToken cancellation)
    {
        var request = new ListMultipartUploadsRequest
        {
            BucketName = options.Bucket,
            KeyMarker = after?.Key,
            UploadIdMarker = after?.UploadId,
            MaxUploads = IImageStore.PageSize,
            Encoding = EncodingType.Url,
        };
        var page = await TryAsync(() => UnfinishedAsync(request, cancellation), cancellation);
        UnfinishedUpload[] uploads =
        [
            .. (page.MultipartUploads ?? []).Select(x => new UnfinishedUpload(
                Decoded(x.Key, page.EncodingType ?? (IsEncoded().IsMatch(x.Key) ? EncodingType.Url : null)),
                x.UploadId,
                S3Answers.Utc(x.Initiated)
            )),
        ];
        // One without any is taken for the last one: what is behind it is found when those before it have been aborted.
        return new UploadPage(uploads, page.IsTruncated == true ? uploads.LastOrDefault() : null);
    }

    private async Task<ListObjectsV2Response> ReadAsync(ListObjectsV2Request request, CancellationToken cancellation)
    {
        var page = await s3.ListObjectsV2Async(request, cancellation);
        // The SDK reads any XML as an empty listing, and on that objects would count as gone.
        return page.Name is null ? throw new InvalidDataException("It is no listing of a bucket.") : page;
    }

    private async Task<ListMultipartUploadsResponse> UnfinishedAsync(
        ListMultipartUploadsRequest request,
        CancellationToken cancellation
    )
    {
        var page = await s3.ListMultipartUploadsAsync(request, cancellation);
        return page.BucketName is null ? throw new InvalidDataException("It is no listing of uploads.") : page;
    }

    private List<StoredObject> Objects(ListObjectsV2Response page)
    {
        var objects = new List<StoredObject>();
        // An empty listing has none. A key twice is one object, listed while it was put anew.
        foreach (var listed in (page.S3Objects ?? []).DistinctBy(x => x.Key, StringComparer.Ordinal))
        {
            var key = Decoded(listed.Key, page.Encoding);
            if (key.Contains('\0', StringComparison.Ordinal))
                Unstorable(listed.Key);
            else
                objects.Add(
                    new StoredObject(
                        key,
                        listed.Size ?? 0,
                        S3Answers.Unquoted(listed.ETag),
                        ContentType: null,
                        S3Answers.Utc(listed.LastModified)
                    )
                );
        }

        return objects;
    }

    // A space may come as a plus, and a plus comes as %2B.
    private static string Decoded(string key, EncodingType? encoding) =>
        encoding == EncodingType.Url ? WebUtility.UrlDecode(key) : key;

    private async Task<T> TryAsync<T>(Func<Task<T>> ask, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await ask();
            }
            catch (Exception e) when (attempt < ReadTries && S3Failures.IsUnreadable(e))
            {
                await Task.Delay(ReadDelay * attempt, clock, cancellation);
            }
        }
    }

    // Ceph 16.2 encodes the keys of uploads and does not say so. One that is taken for encoded and is not cannot be
    // aborted: its id belongs to another key.
    [GeneratedRegex(@"\A([A-Za-z0-9._~/-]|%[0-9A-F]{2})*\z", RegexOptions.ExplicitCapture, 5_000)]
    private static partial Regex IsEncoded();

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The object {EncodedKey} is passed over: PostgreSQL holds no text with U+0000"
    )]
    private partial void Unstorable(string encodedKey);
}

/// <summary>What answers of S3 have in common.</summary>
internal static class S3Answers
{
    public static string Unquoted(string? etag) => etag?.Trim('"') ?? "";

    public static DateTimeOffset Utc(DateTime? time) =>
        new(time?.ToUniversalTime() ?? throw new InvalidDataException("The store gave an object no time."));
}
