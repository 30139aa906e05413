using MassTransit;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Retries for a store that is away, or an entry that others write; the database has its own.</summary>
internal static class CatalogRetries
{
    /// <summary>About three minutes; then a person replays the dead letter.</summary>
    public const int OfCommands = 14;

    /// <summary>About twelve minutes: nobody sends an event again. Below the broker's limit of 30 minutes.</summary>
    public const int OfEvents = 32;

    private static readonly TimeSpan PauseFirst = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan PauseLimit = TimeSpan.FromSeconds(30);

    public static void Configure(IRetryConfigurator retry, int limit)
    {
        retry.Handle<StorageUnavailableException>();
        retry.Handle<EntryContendedException>();
        retry.Exponential(limit, PauseFirst, PauseLimit, PauseFirst * 2);
    }
}
