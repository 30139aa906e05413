using Pipeline.Publisher.Tests.Harness;

namespace Pipeline.Publisher.Tests.Cataloguing;

/// <summary>Writes the catalogue's rows as the workers do.</summary>
internal static class CatalogRows
{
    public static Task EntryAsync(this ScratchServers servers, string key, long size = 3, string? type = null) =>
        servers.SqlAsync(
            """
            insert into pipeline.catalog_entries (key, size, etag, content_type, last_modified, first_seen)
            values ($1, $2, 'etag', $3, '2026-01-31T12:00:00Z', now())
            """,
            key,
            size,
            (object?)type ?? DBNull.Value
        );

    /// <returns>The command that asked for it.</returns>
    public static async Task<Guid> RebuildAsync(this ScratchServers servers, Guid rebuild, string state)
    {
        var command = Guid.NewGuid();
        await servers.SqlAsync(
            """
            insert into pipeline.catalog_rebuilds
                (correlation_id, current_state, bucket, expected_keys, partitions, pages, keys, removed, failure_reason,
                 started_at, ended_at)
            values ($1, $2, 'pictures', 2000, 0, 0, 0, 0,
                    case when $2 = 'Abandoned' then 'the store answered 404 NoSuchBucket' end,
                    now() - interval '10 seconds', case when $2 not in ('Listing', 'Sweeping') then now() end)
            """,
            rebuild,
            state
        );
        await servers.SqlAsync(
            """
            insert into pipeline.catalog_rebuild_requests (command_id, scope, rebuild_id, joined)
            values ($1, '00000000-0000-0000-0000-000000000000', $2, false)
            """,
            command,
            rebuild
        );
        return command;
    }

    public static Task PartAsync(
        this ScratchServers servers,
        Guid rebuild,
        int number,
        int pages,
        long keys,
        bool done
    ) =>
        servers.SqlAsync(
            """
            insert into pipeline.catalog_rebuild_parts (rebuild_id, number, pages, keys, done)
            values ($1, $2, $3, $4, $5)
            """,
            rebuild,
            number,
            pages,
            keys,
            done
        );
}
