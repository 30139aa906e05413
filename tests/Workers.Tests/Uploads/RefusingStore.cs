using Pipeline.Workers.Storage;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Uploads;

/// <summary>The real store, with keys that it does not let go, as with a legal hold.</summary>
internal sealed class RefusingStore(IImageStore store) : ForwardingStore(store)
{
    public HashSet<string> Refused { get; } = new(StringComparer.Ordinal);

    public override Task DeleteAsync(string key, CancellationToken cancellation) =>
        Refused.Contains(key)
            ? throw new StorageMisconfiguredException($"the store answered 403 to the deletion of {key}")
            : base.DeleteAsync(key, cancellation);

    public override Task AbortAsync(UnfinishedUpload upload, CancellationToken cancellation) =>
        Refused.Contains(upload.Key)
            ? throw new StorageMisconfiguredException($"the store answered 403 to the abortion of {upload.Key}")
            : base.AbortAsync(upload, cancellation);
}
