using Pipeline.Contracts.Cataloguing;
using Pipeline.Wire;

namespace Pipeline.Workers.Cataloguing;

/// <summary>The messages of a rebuild as they go into the outbox.</summary>
internal static class RebuildMessages
{
    /// <summary>The number of the part that sweeps instead of listing.</summary>
    public const int SweepPart = -1;

    /// <summary>The message for a part's next page.</summary>
    /// <param name="rebuildId">The rebuild.</param>
    /// <param name="part">Its part; <see cref="SweepPart"/> for the sweep.</param>
    /// <param name="pagesDone">The part's pages that are committed.</param>
    public static WireMessage NextOf(Guid rebuildId, int part, int pagesDone) =>
        part == SweepPart
            ? ToWire(new SweepCatalog(rebuildId, pagesDone + 1))
            : ToWire(new ListPage(rebuildId, part, pagesDone + 1));

    /// <summary>The message that tells the saga that a part is done.</summary>
    /// <inheritdoc cref="NextOf" path="/param"/>
    public static WireMessage EndOf(Guid rebuildId, int part) =>
        part == SweepPart ? ToWire(new CatalogSwept(rebuildId)) : ToWire(new PartListed(rebuildId, part));

    /// <summary>Has the store asked about one object, whose listing and rows do not agree.</summary>
    public static WireMessage Check(string key)
    {
        var commandId = Guid.NewGuid(); // Nobody can use it up beforehand; it is sent with the caller's transaction.
        return ToWire(new RecordObject(commandId, key), commandId);
    }

    /// <summary>A message of no project, which must reach its queue.</summary>
    public static WireMessage ToWire<T>(T message) => ToWire(message, Guid.NewGuid());

    /// <inheritdoc cref="ToWire{T}(T)"/>
    public static WireMessage ToWire<T>(T message, Guid id) =>
        new(WireNames.ExchangeOf<T>(), RoutingKey: "", id, WireJson.Write(message), Mandatory: true);
}
