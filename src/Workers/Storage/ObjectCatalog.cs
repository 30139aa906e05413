using Npgsql;

namespace Pipeline.Workers.Storage;

/// <summary>Rows of <c>pipeline.catalog_objects</c>: what is known to be in the store.</summary>
internal static class ObjectCatalog
{
    private const string RecordSql = """
        insert into pipeline.catalog_objects (key, size, etag, content_type, last_modified, first_seen)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (key) do update
            set size = excluded.size, etag = excluded.etag, content_type = excluded.content_type,
                last_modified = excluded.last_modified
        """;

    /// <summary>Adds the object to the open transaction, or brings its row up to date.</summary>
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
}
