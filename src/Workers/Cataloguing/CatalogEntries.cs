using Npgsql;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>An entry as it was before the store was asked.</summary>
/// <param name="ChangedAt">Its version; null where there is no entry at all.</param>
/// <param name="Sequencer">Of the newest event applied, comparable; null where none was.</param>
internal sealed record EntryVersion(DateTimeOffset? ChangedAt, string? Sequencer);

/// <summary>What became of an entry.</summary>
internal enum EntryChange
{
    /// <summary>Somebody else decided it meanwhile: look again.</summary>
    Overtaken,

    /// <summary>It was so already.</summary>
    None,

    Changed,
}

/// <summary>
/// One entry at a time, compare-and-set: what the store said is written only where the entry is still as it was
/// before the store was asked. So of two who look at once, the second looks again, and the later look stands.
/// </summary>
internal static class CatalogEntries
{
    private const string ReadSql = "select changed_at, sequencer from pipeline.catalog_entries where key = $1";

    private const string InsertSql = """
        insert into pipeline.catalog_entries (key, size, etag, content_type, last_modified, first_seen, gone_at, sequencer)
        values ($1, $2, $3, $4, $5, now(), case when $6 then clock_timestamp() end, $7)
        on conflict (key) do nothing
        """;

    // The old row is read under the lock of the update, so that "changed" is true of this very write.
    private const string UpdateSql = """
        with earlier as (
            select size, etag, content_type, last_modified, gone_at from pipeline.catalog_entries
            where key = $1 and changed_at = $8 for update)
        update pipeline.catalog_entries as o
        set size = case when $6 then o.size else $2 end, etag = case when $6 then o.etag else $3 end,
            content_type = case when $6 then o.content_type else $4 end,
            last_modified = case when $6 then o.last_modified else $5 end,
            first_seen = case when o.gone_at is not null and not $6 then now() else o.first_seen end,
            gone_at = case when $6 then coalesce(o.gone_at, clock_timestamp()) end,
            sequencer = coalesce($7, o.sequencer), changed_at = clock_timestamp()
        from earlier
        where o.key = $1
        returning (earlier.gone_at is not null) <> $6
            or not $6 and (earlier.size, earlier.etag, earlier.content_type, earlier.last_modified)
                is distinct from (o.size, o.etag, o.content_type, o.last_modified)
        """;

    /// <summary>To be called before the store is asked.</summary>
    public static async Task<EntryVersion> ReadAsync(
        NpgsqlDataSource source,
        string key,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(ReadSql);
        command.Parameters.AddWithValue(key);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation)
            ? new EntryVersion(row.GetFieldValue<DateTimeOffset>(0), row.IsDBNull(1) ? null : row.GetString(1))
            : new EntryVersion(ChangedAt: null, Sequencer: null);
    }

    /// <summary>Writes what the store said, in the open transaction.</summary>
    /// <param name="connection">The transaction's.</param>
    /// <param name="transaction">Commits it.</param>
    /// <param name="key">The object.</param>
    /// <param name="before">As <see cref="ReadAsync"/> gave it, before the store was asked.</param>
    /// <param name="stored">The store's answer; null where the object is gone.</param>
    /// <param name="sequencer">Of the event that made us look; null keeps the one that is known.</param>
    /// <param name="cancellation">The caller's.</param>
    public static async Task<EntryChange> WriteAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        string key,
        EntryVersion before,
        StoredObject? stored,
        string? sequencer,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(
            before.ChangedAt is null ? InsertSql : UpdateSql,
            connection,
            transaction
        );
        command.Parameters.AddWithValue(key);
        command.Parameters.AddWithValue(stored?.Size ?? 0);
        command.Parameters.AddWithValue(stored?.ETag ?? "");
        command.Parameters.AddWithValue((object?)stored?.ContentType ?? DBNull.Value);
        command.Parameters.AddWithValue(stored?.LastModified ?? DateTimeOffset.UnixEpoch);
        command.Parameters.AddWithValue(stored is null);
        command.Parameters.AddWithValue((object?)sequencer ?? DBNull.Value);
        if (before.ChangedAt is not { } version)
        {
            // The entry of an object that was never there is kept too: a listing from before may still bring the key.
            var inserted = await command.ExecuteNonQueryAsync(cancellation) == 1;
            return !inserted ? EntryChange.Overtaken
                : stored is null ? EntryChange.None
                : EntryChange.Changed;
        }

        command.Parameters.AddWithValue(version);
        return await command.ExecuteScalarAsync(cancellation) switch
        {
            true => EntryChange.Changed,
            false => EntryChange.None,
            _ => EntryChange.Overtaken,
        };
    }
}
