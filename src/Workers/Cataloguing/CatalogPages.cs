using Npgsql;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>A whole page of a listing at once, and the sweep of what no page had.</summary>
internal static class CatalogPages
{
    // What was decided after the listing was asked for is left alone: which of the two is later, nobody can tell. Rows
    // are locked in the order of their keys, as everyone does who writes several.
    private const string MarkSql = """
        with listed as (
            select * from unnest($2, $3, $4, $5) as l (key, size, etag, last_modified)
        ), marked as (
            insert into pipeline.catalog_entries as o (key, size, etag, last_modified, first_seen, seen_in_rebuild)
            select key, size, etag, last_modified, now(), $1 from listed order by key collate "C"
            on conflict (key) do update
            set seen_in_rebuild = excluded.seen_in_rebuild,
                size = case when o.changed_at < $6 then excluded.size else o.size end,
                etag = case when o.changed_at < $6 then excluded.etag else o.etag end,
                content_type = case when o.changed_at < $6 and o.etag <> excluded.etag then null
                                    else o.content_type end,
                last_modified = case when o.changed_at < $6 then excluded.last_modified else o.last_modified end,
                first_seen = case when o.changed_at < $6 and o.gone_at is not null then now() else o.first_seen end,
                gone_at = case when o.changed_at < $6 then null else o.gone_at end,
                changed_at = case when o.changed_at < $6 and (o.gone_at is not null or o.etag <> excluded.etag)
                                  then clock_timestamp() else o.changed_at end
            returning key, etag, gone_at
        )
        select l.key from listed l join marked m on m.key = l.key collate "C"
        where m.gone_at is not null or m.etag <> l.etag
        """;

    // A stretch of the table by its key, so that each statement looks at a bounded number of rows.
    private const string SweepSql = """
        with stretch as (
            select key from pipeline.catalog_entries where key > coalesce($2, '') order by key limit $3
        ), swept as (
            delete from pipeline.catalog_entries e using stretch s
            where e.key = s.key and e.gone_at is null and e.seen_in_rebuild is distinct from $1 and e.changed_at < $4
            returning e.key
        )
        select (select max(key) from stretch), (select count(*) from stretch), (select count(*) from swept),
               array(
                   select s.key from swept s
                   join pipeline.images i on i.object_key collate "C" = s.key and i.object_seen and i.deleted_at is null)
        """;

    /// <summary>Enters a page of a listing, in the open transaction.</summary>
    /// <param name="connection">The transaction's.</param>
    /// <param name="transaction">Commits it.</param>
    /// <param name="rebuildId">Marks what it has seen.</param>
    /// <param name="objects">The page.</param>
    /// <param name="askedAt">Before the store was asked, by the database's clock.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <returns>Keys whose entry was decided meanwhile and says something else: the store must be asked about each.</returns>
    public static async Task<List<string>> MarkAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid rebuildId,
        IReadOnlyList<StoredObject> objects,
        DateTimeOffset askedAt,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(MarkSql, connection, transaction);
        command.Parameters.AddWithValue(rebuildId);
        command.Parameters.AddWithValue(objects.Select(x => x.Key).ToArray());
        command.Parameters.AddWithValue(objects.Select(x => x.Size).ToArray());
        command.Parameters.AddWithValue(objects.Select(x => x.ETag).ToArray());
        command.Parameters.AddWithValue(objects.Select(x => x.LastModified).ToArray());
        command.Parameters.AddWithValue(askedAt);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var doubtful = new List<string>();
        while (await row.ReadAsync(cancellation))
            doubtful.Add(row.GetString(0));
        return doubtful;
    }

    /// <summary>Removes, from one stretch, what the rebuild has not seen and nobody has decided since it began.</summary>
    /// <param name="connection">The transaction's.</param>
    /// <param name="transaction">Commits it.</param>
    /// <param name="rebuildId">What it has seen stays.</param>
    /// <param name="after">The stretch begins after this key; null at the beginning.</param>
    /// <param name="limit">Entries in the stretch.</param>
    /// <param name="startedAt">When the rebuild began; what changed later stays.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <returns>
    /// The last key of the stretch, its length, how many of it were removed, and those of them that an image shows: the
    /// store must be asked about each.
    /// </returns>
    public static async Task<(string? Last, long Count, long Removed, string[] Shown)> SweepAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid rebuildId,
        string? after,
        int limit,
        DateTimeOffset startedAt,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(SweepSql, connection, transaction);
        command.Parameters.AddWithValue(rebuildId);
        command.Parameters.AddWithValue((object?)after ?? DBNull.Value);
        command.Parameters.AddWithValue(limit);
        command.Parameters.AddWithValue(startedAt);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        await row.ReadAsync(cancellation);
        return (
            row.IsDBNull(0) ? null : row.GetString(0),
            row.GetInt64(1),
            row.GetInt64(2),
            row.GetFieldValue<string[]>(3)
        );
    }
}
