using Pipeline.Workers.Storage;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>The real store, whose listings a test can have refused or unanswered.</summary>
internal sealed class StoreSwitch(IImageStore store) : ForwardingStore(store)
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

    public override Task<ObjectPage> ListAfterAsync(string? after, int limit, CancellationToken cancellation)
    {
        var number = Interlocked.Increment(ref _listings);
        return Fault is null || number <= FaultFrom ? base.ListAfterAsync(after, limit, cancellation)
            : Fault == Unstorable
                ? Task.FromResult(new ObjectPage([new StoredObject("a\0b", 1, "e", null, DateTimeOffset.UtcNow)], null))
            : Fault == Down ? throw new StorageUnavailableException("the store cannot be reached", new IOException())
            : throw new StorageMisconfiguredException($"the store answered {Fault}");
    }
}
