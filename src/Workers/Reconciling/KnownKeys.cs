using Npgsql;
using NpgsqlTypes;

namespace Pipeline.Workers.Reconciling;

/// <summary>What the database knows of keys, in the order of the bucket's listing.</summary>
internal sealed class KnownKeys(NpgsqlDataSource source)
{
    // The lowest keys of both sides together are among the lowest of each.
    // URLs and claims are looked up for suspects alone.
    private const string RangeSql = """
        with pictures as (
            select object_key as key, id, project_id, byte_length, sha256, object_seen and deleted_at is null as seen, updated_at
            from pipeline.images
            where object_key collate "C" > $1 and ($2::text is null or object_key collate "C" <= $2)
                and purge_started_at is null
            order by object_key collate "C" limit $3),
        entries as (
            select key, size, etag, changed_at from pipeline.catalog_entries
            where key > $1 and ($2::text is null or key <= $2) and gone_at is null order by key limit $3)
        select coalesce(p.key, e.key) collate "C" as known, p.id, p.project_id, p.byte_length, p.sha256,
               p.seen and p.updated_at < $4, e.size, e.etag, e.changed_at < $4,
               0::bigint, false
        from pictures p full join entries e on e.key = p.key
        order by known limit $3
        """;

    // Claimed is what is on its way into a picture, or out of the bucket. Its deletion is looked up by each id, not
    // with "exists", for which PostgreSQL may read all open deletions first.
    private const string KeysSql = """
        select k.key, p.id, p.project_id, p.byte_length, p.sha256,
               p.object_seen and p.deleted_at is null and p.updated_at < $2, e.size, e.etag, e.changed_at < $2,
               (select count(*) from pipeline.image_urls u
                where u.image_id = p.id and u.version = p.version and p.placed and u.expires_at > now()),
               exists (select from pipeline.image_replacements r where r.object_key = k.key)
               or (select true from pipeline.deletions d
                   where d.current_state in ('Tombstoned', 'Purging', 'Verifying', 'Invalidating')
                       and d.object_key = k.key limit 1) is true
               or (select true from pipeline.deletions d
                   where d.current_state in ('Tombstoned', 'Purging', 'Verifying', 'Invalidating')
                       and d.image_id = k.image_id limit 1) is true
               or (select true from pipeline.deletions d
                   where d.current_state in ('Tombstoned', 'Purging', 'Verifying', 'Invalidating')
                       and d.kind = 'project' and d.project_id = k.project_id limit 1) is true
               or (select true from pipeline.held_objects h where h.key = k.key limit 1) is true
        from (
            select key,
                   case when split_part(key, '/', 2) ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                        then split_part(key, '/', 2)::uuid end as project_id,
                   case when split_part(key, '/', 3) ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                        then split_part(key, '/', 3)::uuid end as image_id
            from unnest($1) as key) k
        left join pipeline.images p on p.object_key collate "C" = k.key collate "C" and p.purge_started_at is null
        left join pipeline.catalog_entries e on e.key = k.key and e.gone_at is null
        """;

    /// <summary>Keys that rows or the catalogue name, without their objects.</summary>
    /// <param name="after">The last key before them; empty for the first ones.</param>
    /// <param name="upTo">The last one that is wanted; null for all.</param>
    /// <param name="limit">How many at most.</param>
    /// <param name="cutoff">What was written later is in flight.</param>
    /// <param name="cancellation">The caller's.</param>
    public async Task<List<KeyState>> RangeAsync(
        string after,
        string? upTo,
        int limit,
        DateTimeOffset cutoff,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(RangeSql);
        command.Parameters.AddWithValue(after);
        command.Parameters.Add(
            new NpgsqlParameter { Value = (object?)upTo ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text }
        );
        command.Parameters.AddWithValue(limit);
        command.Parameters.AddWithValue(cutoff);
        return await ReadAsync(command, cancellation);
    }

    /// <summary>The same for certain keys, also for those that nobody names.</summary>
    public async Task<List<KeyState>> OfAsync(
        IReadOnlyCollection<string> keys,
        DateTimeOffset cutoff,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(KeysSql);
        command.Parameters.AddWithValue(keys.ToArray());
        command.Parameters.AddWithValue(cutoff);
        return await ReadAsync(command, cancellation);
    }

    private static async Task<List<KeyState>> ReadAsync(NpgsqlCommand command, CancellationToken cancellation)
    {
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var states = new List<KeyState>();
        while (await row.ReadAsync(cancellation))
        {
            var picture = row.IsDBNull(1)
                ? null
                : new KnownPicture(
                    row.GetGuid(1),
                    row.GetGuid(2),
                    row.GetInt64(3),
                    row.GetString(4),
                    row.GetBoolean(5),
                    row.GetInt64(9)
                );
            var entry = row.IsDBNull(6) ? null : new KnownEntry(row.GetInt64(6), row.GetString(7), row.GetBoolean(8));
            states.Add(new KeyState(row.GetString(0), Object: null, picture, entry, IsClaimed: row.GetBoolean(10)));
        }

        return states;
    }
}
