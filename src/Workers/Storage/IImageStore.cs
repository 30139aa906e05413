namespace Pipeline.Workers.Storage;

/// <summary>
/// The bytes of pictures, in one bucket. An object never changes once it is written: its key carries its content.
/// </summary>
/// <remarks>
/// Implementations are interchangeable: each one must pass <c>ImageStoreConformance</c> in
/// <c>tests/Workers.Tests/Storage</c>. Keys are 1 to 1,024 bytes of UTF-8 without control characters and without the
/// segments <c>.</c> and <c>..</c>; another key is a bug of the caller. <see cref="ObjectKeys"/> builds the project's own.
/// Listings have others' keys as well, which S3 lets be almost anything.
/// </remarks>
internal interface IImageStore
{
    /// <summary>Keys in one page of <see cref="ListAsync"/>, and in one <see cref="DeleteManyAsync"/> (S3's own limit).</summary>
    const int PageSize = 1_000;

    /// <summary>The longest life of a presigned URL: SigV4's own limit.</summary>
    static readonly TimeSpan PresignLimit = TimeSpan.FromDays(7);

    /// <summary>Writes the bytes, or does nothing when the key exists already. All or nothing, also when cancelled.</summary>
    /// <param name="key">See the remarks above.</param>
    /// <param name="content">The whole object.</param>
    /// <param name="contentType">IANA media type, such as <c>image/png</c>; clients are served it.</param>
    /// <param name="cancellation">The caller's; an answer that does not come in time is no cancellation.</param>
    /// <exception cref="StorageUnavailableException">Nothing is known to be written. Worth a retry.</exception>
    /// <exception cref="StorageMisconfiguredException">No retry helps until a person has changed the settings.</exception>
    Task<PutOutcome> PutOnceAsync(
        string key,
        ReadOnlyMemory<byte> content,
        string contentType,
        CancellationToken cancellation
    );

    /// <summary>What the store knows of an object; null when it is not there.</summary>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task<StoredObject?> HeadAsync(string key, CancellationToken cancellation);

    /// <summary>The bytes, to be disposed by the caller; null when the object is not there.</summary>
    /// <remarks>Reading fails with an <see cref="IOException"/> where the connection does: worth a retry.</remarks>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task<Stream?> OpenReadAsync(string key, CancellationToken cancellation);

    /// <summary>Deletes the object. Deleting what is absent succeeds, as a redelivered command may.</summary>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task DeleteAsync(string key, CancellationToken cancellation);

    /// <summary>Deletes the objects and returns those that the store refused to delete; usually none.</summary>
    /// <param name="keys">
    /// 0 to <see cref="PageSize"/> keys, also others' as a listing has them; absent ones count as deleted.
    /// </param>
    /// <param name="cancellation">Some may be deleted already when it comes.</param>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task<IReadOnlyList<FailedDeletion>> DeleteManyAsync(
        IReadOnlyCollection<string> keys,
        CancellationToken cancellation
    );

    /// <summary>One page of the objects under a prefix, in the order of their keys' UTF-8 bytes.</summary>
    /// <param name="prefix">The beginning of the keys; empty for all.</param>
    /// <param name="continuation">Null for the first page, then the page before's <see cref="ObjectPage.Continuation"/>.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task<ObjectPage> ListAsync(string prefix, string? continuation, CancellationToken cancellation);

    /// <summary>Objects whose keys come after another, in the order of their keys' UTF-8 bytes. The other need not exist.</summary>
    /// <param name="after">Null for the first objects of all.</param>
    /// <param name="limit">1 to <see cref="PageSize"/>.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task<ObjectPage> ListAfterAsync(string? after, int limit, CancellationToken cancellation);

    /// <summary>Multipart uploads that were begun and neither completed nor aborted: invisible, and paid for.</summary>
    /// <param name="after">The last one that is known already; null for the first page.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task<UploadPage> ListUnfinishedAsync(UnfinishedUpload? after, CancellationToken cancellation);

    /// <summary>Gives an unfinished upload's room back. Aborting what has ended succeeds.</summary>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task AbortAsync(UnfinishedUpload upload, CancellationToken cancellation);

    /// <summary>A URL from which anyone can read the object until it expires. Nothing checks that the object exists.</summary>
    /// <param name="key">See the remarks above.</param>
    /// <param name="lifetime">1 second to <see cref="PresignLimit"/>; whole seconds count.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task<PresignedUrl> PresignGetAsync(string key, TimeSpan lifetime, CancellationToken cancellation);

    /// <summary>Creates the bucket unless it is there, and checks that it may be used. Safe from several processes at once.</summary>
    /// <inheritdoc cref="PutOnceAsync" path="/exception"/>
    Task EnsureBucketAsync(CancellationToken cancellation);
}

/// <summary>How a put ended.</summary>
internal enum PutOutcome
{
    /// <summary>This call wrote the object.</summary>
    Stored,

    /// <summary>The key was taken; nothing was written.</summary>
    AlreadyThere,
}

/// <summary>One object as the store describes it.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ETag">The store's own mark of the content, without quotes.</param>
/// <param name="ContentType">Null in a listing, which does not tell it.</param>
/// <param name="LastModified">UTC, whole seconds.</param>
internal sealed record StoredObject(
    string Key,
    long Size,
    string ETag,
    string? ContentType,
    DateTimeOffset LastModified
);

/// <summary>One page of a listing.</summary>
/// <param name="Objects">No key twice; one at least on every page but the last.</param>
/// <param name="Continuation">The last key, given to the next call; null on the last page.</param>
internal sealed record ObjectPage(IReadOnlyList<StoredObject> Objects, string? Continuation);

/// <summary>One page of multipart uploads without an end, by key.</summary>
/// <param name="Uploads">0 to <see cref="IImageStore.PageSize"/>.</param>
/// <param name="Continuation">Given to the next call; null on the last page.</param>
internal sealed record UploadPage(IReadOnlyList<UnfinishedUpload> Uploads, UnfinishedUpload? Continuation);

/// <summary>A multipart upload without an end.</summary>
/// <param name="Key">What it would have become.</param>
/// <param name="UploadId">The store's own id.</param>
/// <param name="BegunAt">UTC.</param>
internal sealed record UnfinishedUpload(string Key, string UploadId, DateTimeOffset BegunAt);

/// <summary>An object that the store refused to delete.</summary>
/// <param name="Key">The object.</param>
/// <param name="Reason">The store's code and message.</param>
internal sealed record FailedDeletion(string Key, string Reason);

/// <summary>A URL that reads one object.</summary>
/// <param name="Url">To be handed out, never logged: whoever has it may read.</param>
/// <param name="ExpiresAt">UTC. Earlier than asked for where the credentials that signed it end earlier.</param>
internal sealed record PresignedUrl(Uri Url, DateTimeOffset ExpiresAt);

/// <summary>The store did not answer in time, or answered that it cannot now. The same call may succeed later.</summary>
internal sealed class StorageUnavailableException(string message, Exception inner) : Exception(message, inner);

/// <summary>The store refused these settings or credentials. No retry helps until a person has changed them.</summary>
internal sealed class StorageMisconfiguredException(string message, Exception? inner = null)
    : Exception(message, inner);
