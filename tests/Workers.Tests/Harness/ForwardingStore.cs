using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Tests.Harness;

/// <summary>A store as it is; a test's own overrides what it wants to disturb.</summary>
internal abstract class ForwardingStore(IImageStore store) : IImageStore
{
    public virtual Task<PutOutcome> PutOnceAsync(
        string key,
        ReadOnlyMemory<byte> content,
        string contentType,
        CancellationToken cancellation
    ) => store.PutOnceAsync(key, content, contentType, cancellation);

    public virtual Task<StoredObject?> HeadAsync(string key, CancellationToken cancellation) =>
        store.HeadAsync(key, cancellation);

    public virtual Task<Stream?> OpenReadAsync(string key, CancellationToken cancellation) =>
        store.OpenReadAsync(key, cancellation);

    public virtual Task DeleteAsync(string key, CancellationToken cancellation) => store.DeleteAsync(key, cancellation);

    public virtual Task<IReadOnlyList<FailedDeletion>> DeleteManyAsync(
        IReadOnlyCollection<string> keys,
        CancellationToken cancellation
    ) => store.DeleteManyAsync(keys, cancellation);

    public virtual Task<ObjectPage> ListAsync(string prefix, string? continuation, CancellationToken cancellation) =>
        store.ListAsync(prefix, continuation, cancellation);

    public virtual Task<ObjectPage> ListAfterAsync(string? after, int limit, CancellationToken cancellation) =>
        store.ListAfterAsync(after, limit, cancellation);

    public virtual Task<UploadPage> ListUnfinishedAsync(UnfinishedUpload? after, CancellationToken cancellation) =>
        store.ListUnfinishedAsync(after, cancellation);

    public virtual Task AbortAsync(UnfinishedUpload upload, CancellationToken cancellation) =>
        store.AbortAsync(upload, cancellation);

    public virtual Task<PresignedUrl> PresignGetAsync(string key, TimeSpan lifetime, CancellationToken cancellation) =>
        store.PresignGetAsync(key, lifetime, cancellation);

    public virtual Task EnsureBucketAsync(CancellationToken cancellation) => store.EnsureBucketAsync(cancellation);
}
