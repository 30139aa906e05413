using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>The real store, whose listings a test can have refused or unanswered.</summary>
internal sealed class StoreSwitch(IImageStore store) : IImageStore
{
    public const string Down = "down";

    /// <summary>A page with a key that no PostgreSQL text takes.</summary>
    public const string Unstorable = "unstorable";

    private int _listings;

    /// <summary>Null: the store answers. <see cref="Down"/>: it does not. <see cref="Unstorable"/>. Otherwise the code of its refusal.</summary>
    public string? Fault { get; private set; }

    public int Listings => Volatile.Read(ref _listings);

    private int FaultFrom { get; set; }

    /// <param name="fault">As <see cref="Fault"/>.</param>
    /// <param name="after">Listings that are still answered.</param>
    public void Break(string fault, int after = 0) => (FaultFrom, Fault) = (Listings + after, fault);

    public void Mend() => Fault = null;

    public Task<ObjectPage> ListAfterAsync(string? after, int limit, CancellationToken cancellation)
    {
        var number = Interlocked.Increment(ref _listings);
        return Fault is null || number <= FaultFrom ? store.ListAfterAsync(after, limit, cancellation)
            : Fault == Unstorable
                ? Task.FromResult(new ObjectPage([new StoredObject("a\0b", 1, "e", null, DateTimeOffset.UtcNow)], null))
            : Fault == Down ? throw new StorageUnavailableException("the store cannot be reached", new IOException())
            : throw new StorageMisconfiguredException($"the store answered {Fault}");
    }

    public Task<PutOutcome> PutOnceAsync(
        string key,
        ReadOnlyMemory<byte> content,
        string contentType,
        CancellationToken cancellation
    ) => store.PutOnceAsync(key, content, contentType, cancellation);

    public Task<StoredObject?> HeadAsync(string key, CancellationToken cancellation) =>
        store.HeadAsync(key, cancellation);

    public Task<Stream?> OpenReadAsync(string key, CancellationToken cancellation) =>
        store.OpenReadAsync(key, cancellation);

    public Task DeleteAsync(string key, CancellationToken cancellation) => store.DeleteAsync(key, cancellation);

    public Task<IReadOnlyList<FailedDeletion>> DeleteManyAsync(
        IReadOnlyCollection<string> keys,
        CancellationToken cancellation
    ) => store.DeleteManyAsync(keys, cancellation);

    public Task<ObjectPage> ListAsync(string prefix, string? continuation, CancellationToken cancellation) =>
        store.ListAsync(prefix, continuation, cancellation);

    public Task<IReadOnlyList<UnfinishedUpload>> ListUnfinishedAsync(
        UnfinishedUpload? after,
        CancellationToken cancellation
    ) => store.ListUnfinishedAsync(after, cancellation);

    public Task AbortAsync(UnfinishedUpload upload, CancellationToken cancellation) =>
        store.AbortAsync(upload, cancellation);

    public Task<PresignedUrl> PresignGetAsync(string key, TimeSpan lifetime, CancellationToken cancellation) =>
        store.PresignGetAsync(key, lifetime, cancellation);

    public Task EnsureBucketAsync(CancellationToken cancellation) => store.EnsureBucketAsync(cancellation);
}
