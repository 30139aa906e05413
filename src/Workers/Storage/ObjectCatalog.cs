using Npgsql;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Storage;

/// <summary>
/// How the pipeline's own writes record themselves in the catalogue. They have just put, or deleted, the object.
/// </summary>
/// <remarks>
/// Others' objects come into <c>pipeline.catalog_entries</c> by the slice Cataloguing. An entry whose object is gone
/// stays for a while, so that a listing from before cannot bring it back.
/// </remarks>
internal static class ObjectCatalog
{
    // Who records what was just said to be gone may have looked before it went: then the store is asked once more.
    private const string RecordSql = """
        with earlier as (select gone_at from pipeline.catalog_entries where key = $1),
        written as (
            insert into pipeline.catalog_entries as o (key, size, etag, content_type, last_modified, first_seen)
            values ($1, $2, $3, $4, $5, $6)
            on conflict (key) do update
                set size = excluded.size, etag = excluded.etag, content_type = excluded.content_type,
                    last_modified = excluded.last_modified, changed_at = clock_timestamp(), gone_at = null,
                    first_seen = case when o.gone_at is null then o.first_seen else excluded.first_seen end)
        select public.add_file_to_catalog($1) from earlier where gone_at is not null
        """;

    private const string RemoveSql = """
        insert into pipeline.catalog_entries as o (key, size, etag, last_modified, first_seen, gone_at)
        select key, 0, '', now(), now(), clock_timestamp() from (select distinct unnest($1) as key) keys order by key
        on conflict (key) do update set gone_at = clock_timestamp(), changed_at = clock_timestamp()
            where o.gone_at is null
        """;

    private const string PurgedSql = "select key from pipeline.purged_objects where image_id = $1";

    /// <summary>Keys of a picture that were purged; none of them is used again.</summary>
    public static async Task<HashSet<string>> PurgedKeysAsync(
        NpgsqlConnection connection,
        Guid imageId,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(PurgedSql, connection);
        command.Parameters.AddWithValue(imageId);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var keys = new HashSet<string>(StringComparer.Ordinal);
        while (await row.ReadAsync(cancellation))
            keys.Add(row.GetString(0));
        return keys;
    }

    /// <summary>Records the object for a command that is queued with it, and keeps its purge away until that is decided.</summary>
    /// <returns>False where its key was purged; then nothing is written.</returns>
    /// <inheritdoc cref="RecordAsync" path="/param"/>
    /// <param name="projectId">The picture's project.</param>
    /// <param name="imageId">The picture that it belongs to.</param>
    /// <param name="commandId">The queued command.</param>
    public static async Task<bool> HoldAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid projectId,
        Guid imageId,
        Guid commandId,
        StoredObject stored,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        await LockAsync(connection, imageId, cancellation);
        if ((await PurgedKeysAsync(connection, imageId, cancellation)).Contains(stored.Key))
            return false;

        await RecordAsync(connection, transaction, stored, at, cancellation);
        object[] hold = [stored.Key, commandId, projectId, imageId, at];
        await ObjectHolds.KeepAsync(connection, transaction, hold, cancellation);
        return true;
    }

    /// <summary>Waits for whoever holds or purges objects of this picture; until the transaction's end.</summary>
    public static Task LockAsync(NpgsqlConnection connection, Guid imageId, CancellationToken cancellation) =>
        AdvisoryLock.Of(LockUse.ImageObjects, imageId).TakeAsync(connection, cancellation);

    /// <summary>Adds the object to the open transaction, or brings its entry up to date.</summary>
    /// <param name="connection">The transaction's.</param>
    /// <param name="transaction">Commits it.</param>
    /// <param name="stored">As the store describes it.</param>
    /// <param name="at">UTC; when it was first seen, if it is new.</param>
    /// <param name="cancellation">The caller's.</param>
    public static async Task RecordAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        StoredObject stored,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(RecordSql, connection, transaction);
        command.Parameters.AddWithValue(stored.Key);
        command.Parameters.AddWithValue(stored.Size);
        command.Parameters.AddWithValue(stored.ETag);
        command.Parameters.AddWithValue((object?)stored.ContentType ?? DBNull.Value);
        command.Parameters.AddWithValue(stored.LastModified);
        command.Parameters.AddWithValue(at);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Takes objects out of the catalogue that were just deleted. Keys without an entry do no harm.</summary>
    /// <param name="source">The database.</param>
    /// <param name="keys">Objects that the store no longer has.</param>
    /// <param name="cancellation">The caller's.</param>
    public static async Task RemoveAsync(
        NpgsqlDataSource source,
        IReadOnlyCollection<string> keys,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await RemoveAsync(connection, transaction, keys, cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Takes objects out of the catalogue, in the open transaction. Keys without an entry do no harm.</summary>
    /// <param name="connection">The transaction's.</param>
    /// <param name="transaction">Commits it.</param>
    /// <param name="keys">Objects that the store no longer has.</param>
    /// <param name="cancellation">The caller's.</param>
    public static async Task RemoveAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        IReadOnlyCollection<string> keys,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(RemoveSql, connection, transaction);
        command.Parameters.AddWithValue(keys.ToArray());
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
