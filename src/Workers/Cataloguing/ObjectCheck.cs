using Npgsql;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>How a look at one object ended.</summary>
/// <param name="Stored">The store's answer; null where the object is gone.</param>
/// <param name="Changed">Whether its entry was another before.</param>
/// <param name="HiddenBy">The <c>retract-object</c> that is sent to the image that shows it; null where none is.</param>
internal sealed record CheckResult(StoredObject? Stored, bool Changed, Guid? HiddenBy);

/// <summary>Asks the store about one object and writes the answer into the catalogue, with whatever belongs to it.</summary>
internal sealed class ObjectCheck(NpgsqlDataSource source, IImageStore store)
{
    // Each round means that somebody else has just decided the same entry.
    private const int RoundLimit = 20;

    /// <param name="key">The object.</param>
    /// <param name="sequencer">Of the event that made us look; null for a command.</param>
    /// <param name="isWanted">Asked before each look, with the entry as it is; false ends the check.</param>
    /// <param name="alsoWrite">In the same transaction; false rolls everything back and ends the check.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <returns>Null where <paramref name="isWanted"/> or <paramref name="alsoWrite"/> said no.</returns>
    /// <exception cref="StorageUnavailableException">Worth a retry.</exception>
    /// <exception cref="StorageMisconfiguredException">No retry helps.</exception>
    /// <exception cref="EntryContendedException">Worth a retry.</exception>
    public async Task<CheckResult?> RunAsync(
        string key,
        string? sequencer,
        Func<EntryVersion, bool> isWanted,
        Func<NpgsqlConnection, NpgsqlTransaction, CheckResult, Task<bool>> alsoWrite,
        CancellationToken cancellation
    )
    {
        for (var round = 0; round < RoundLimit; round++)
        {
            var before = await CatalogEntries.ReadAsync(source, key, cancellation);
            if (!isWanted(before))
                return null;

            var stored = await store.HeadAsync(key, cancellation);
            await using var connection = await source.OpenConnectionAsync(cancellation);
            await using var transaction = await connection.BeginTransactionAsync(cancellation);
            if (stored is null)
                await LostObjects.LockAsync(connection, transaction, key, cancellation);
            var change = await CatalogEntries.WriteAsync(
                connection,
                transaction,
                key,
                before,
                stored,
                sequencer,
                cancellation
            );
            if (change == EntryChange.Overtaken)
                continue;

            var hiddenBy = await LostObjects.HideAsync(connection, transaction, key, stored, cancellation);
            var result = new CheckResult(stored, change == EntryChange.Changed, hiddenBy);
            if (!await alsoWrite(connection, transaction, result))
                return null;
            await transaction.CommitAsync(cancellation);
            return result;
        }

        throw new EntryContendedException(key);
    }
}

/// <summary>Others decide the same entry all the time. The same look may succeed later.</summary>
internal sealed class EntryContendedException(string key) : Exception($"The entry of '{key}' changes all the time.");
