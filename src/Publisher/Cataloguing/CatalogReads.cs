using System.Text.Json;
using Npgsql;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Cataloguing;

/// <summary>The catalogue, its statistics and its rebuilds.</summary>
internal sealed class CatalogReads(StatusDatabase database)
{
    private const string Rebuilds = """
        select r.id, r.bucket, r.state, r.started_at, r.ended_at, r.expected_keys, r.partitions, r.partitions_listed,
               r.pages, r.keys, r.removed, r.keys_per_second, r.estimated_end, r.waiting_since, r.wait_reason,
               r.failure_reason, r.requests
        from status.catalog_rebuilds r
        """;

    /// <param name="prefix">The beginning of the keys; empty for all.</param>
    /// <param name="after">Only keys after this one; null from the first.</param>
    /// <param name="limit">Entries at most.</param>
    /// <param name="cancellation">Ends the query.</param>
    /// <returns>In the order of the keys' bytes, as S3 lists them.</returns>
    public Task<List<EntryRow>> EntriesAsync(string prefix, string? after, int limit, CancellationToken cancellation) =>
        database.ReadAsync(
            // Both ends of the prefix as comparisons, which the key's index answers.
            """
            select key, size, etag, content_type, last_modified, first_seen, changed_at from status.catalog
            where key >= $1 and key <= $1 || chr(1114111) and starts_with(key, $1) and ($2::text is null or key > $2)
            order by key limit $3
            """,
            x => new EntryRow(
                x.GetString(0),
                x.GetInt64(1),
                x.GetString(2),
                x.Text(3),
                x.Instant(4),
                x.Instant(5),
                x.Instant(6)
            ),
            cancellation,
            prefix,
            after,
            limit
        );

    public async Task<CatalogStatistics> StatisticsAsync(CancellationToken cancellation) =>
        (
            await database.ReadAsync(
                """
                select objects, bytes, by_prefix::text, by_type::text, newest_at, last_rebuild_id,
                       last_rebuild_started_at, last_rebuilt_at
                from status.catalog_statistics
                """,
                x => new CatalogStatistics(
                    x.GetInt64(0),
                    x.GetInt64(1),
                    Json(x.GetString(2)),
                    Json(x.GetString(3)),
                    x.Nullable<DateTimeOffset>(4),
                    x.Nullable<Guid>(5),
                    x.Nullable<DateTimeOffset>(6),
                    x.Nullable<DateTimeOffset>(7)
                ),
                cancellation
            )
        )[0];

    public Task<List<RebuildRow>> RebuildsAsync(Page page, CancellationToken cancellation) =>
        database.ReadAsync(
            $"{Rebuilds} order by r.started_at desc, r.id limit $1 offset $2",
            Rebuild,
            cancellation,
            page.Limit,
            page.Offset
        );

    /// <param name="id">A rebuild, or a request for one.</param>
    /// <param name="cancellation">Ends the query.</param>
    /// <returns>Null where there is none, or where it has not begun yet.</returns>
    public async Task<RebuildRow?> RebuildAsync(Guid id, CancellationToken cancellation) =>
        (
            await database.ReadAsync(
                $"""
                {Rebuilds}
                where r.id = $1 or r.id = (
                    select q.rebuild_id from status.catalog_rebuild_requests q where q.command_id = $1)
                """,
                Rebuild,
                cancellation,
                id
            )
        ).FirstOrDefault();

    private static JsonElement Json(string text)
    {
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    private static RebuildRow Rebuild(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetString(1),
            x.GetString(2),
            x.Instant(3),
            x.Nullable<DateTimeOffset>(4),
            x.GetInt64(5),
            x.GetInt32(6),
            x.GetInt32(7),
            x.GetInt64(8),
            x.GetInt64(9),
            x.GetInt64(10),
            x.GetDouble(11),
            x.Nullable<DateTimeOffset>(12),
            x.Nullable<DateTimeOffset>(13),
            x.Text(14),
            x.Text(15),
            x.GetInt64(16)
        );
}
