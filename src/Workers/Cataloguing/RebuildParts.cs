using Microsoft.EntityFrameworkCore;
using Npgsql;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Cataloguing;

/// <summary>What a part waits for: one page after this key.</summary>
/// <param name="After">The last key of the page before; null at the beginning of the key space.</param>
/// <param name="Until">The part's last key; null for the part that reaches to the end.</param>
/// <param name="StartedAt">When the rebuild began, by the database's clock.</param>
/// <param name="AskedAt">Now, by the database's clock: before the store is asked.</param>
/// <param name="Tries">How often the store has not answered for this page.</param>
internal sealed record OpenPart(
    string? After,
    string? Until,
    DateTimeOffset StartedAt,
    DateTimeOffset AskedAt,
    int Tries
);

/// <summary>Rows of <c>pipeline.catalog_rebuild_parts</c>.</summary>
internal static class RebuildParts
{
    private const string FindSql = """
        select p.after_key, p.until_key, r.started_at, clock_timestamp(), p.tries
        from pipeline.catalog_rebuild_parts p join pipeline.catalog_rebuilds r on r.correlation_id = p.rebuild_id
        where p.rebuild_id = $1 and p.number = $2 and p.pages = $3 - 1 and not p.done
            and (p.waiting_since is null or p.due_at <= clock_timestamp())
        """;

    private const string LockSql = """
        select 1 from pipeline.catalog_rebuild_parts
        where rebuild_id = $1 and number = $2 and pages = $3 - 1 and not done for update
        """;

    private const string AdvanceSql = """
        update pipeline.catalog_rebuild_parts
        set after_key = $3, until_key = coalesce($4, until_key), keys = keys + $5, done = $6, pages = pages + 1,
            tries = 0, waiting_since = null, wait_reason = null, due_at = now() + $7
        where rebuild_id = $1 and number = $2
        """;

    private const string AddSql = """
        insert into pipeline.catalog_rebuild_parts (rebuild_id, number, after_key, until_key, due_at)
        select $1, number, after_key, until_key, now() + $5
        from unnest($2, $3, $4) as p (number, after_key, until_key)
        """;

    private const string PostponeSql = """
        update pipeline.catalog_rebuild_parts
        set tries = tries + 1, waiting_since = coalesce(waiting_since, now()), wait_reason = $4, due_at = now() + $5
        where rebuild_id = $1 and number = $2 and pages = $3 - 1 and not done
        returning now() - waiting_since
        """;

    /// <summary>Null where the page is done already, or waits for its time, or its rebuild has ended.</summary>
    public static async Task<OpenPart?> FindAsync(
        NpgsqlDataSource source,
        Guid rebuildId,
        int part,
        int page,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(FindSql);
        command.Parameters.AddWithValue(rebuildId);
        command.Parameters.AddWithValue(part);
        command.Parameters.AddWithValue(page);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation)
            ? new OpenPart(
                row.IsDBNull(0) ? null : row.GetString(0),
                row.IsDBNull(1) ? null : row.GetString(1),
                row.GetFieldValue<DateTimeOffset>(2),
                row.GetFieldValue<DateTimeOffset>(3),
                row.GetInt32(4)
            )
            : null;
    }

    /// <summary>Holds the part until the transaction ends; false where somebody else has done this page.</summary>
    public static async Task<bool> LockAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid rebuildId,
        int part,
        int page,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(LockSql, connection, transaction);
        command.Parameters.AddWithValue(rebuildId);
        command.Parameters.AddWithValue(part);
        command.Parameters.AddWithValue(page);
        return await command.ExecuteScalarAsync(cancellation) is not null;
    }

    /// <summary>One page further, in the open transaction that holds the part.</summary>
    /// <param name="connection">The transaction's.</param>
    /// <param name="transaction">Commits it.</param>
    /// <param name="rebuildId">The rebuild.</param>
    /// <param name="part">Its part.</param>
    /// <param name="after">The last key of the page.</param>
    /// <param name="until">Where the part ends from now on; null leaves it as it is.</param>
    /// <param name="keys">Keys listed, or for the sweep: entries removed.</param>
    /// <param name="done">Whether it was the last page.</param>
    /// <param name="staleAfter">When the next page's message is taken for lost.</param>
    /// <param name="cancellation">The caller's.</param>
    public static async Task AdvanceAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid rebuildId,
        int part,
        string? after,
        string? until,
        long keys,
        bool done,
        TimeSpan staleAfter,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(AdvanceSql, connection, transaction);
        command.Parameters.AddWithValue(rebuildId);
        command.Parameters.AddWithValue(part);
        command.Parameters.Add(Text(after));
        command.Parameters.Add(Text(until));
        command.Parameters.AddWithValue(keys);
        command.Parameters.AddWithValue(done);
        command.Parameters.AddWithValue(staleAfter);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Adds parts from 1, one from each boundary to the next, the last one to the end of the key space.</summary>
    public static async Task AddAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid rebuildId,
        IReadOnlyList<string> boundaries,
        TimeSpan staleAfter,
        CancellationToken cancellation
    )
    {
        if (boundaries.Count == 0)
            return;
        await using var command = new NpgsqlCommand(AddSql, connection, transaction);
        command.Parameters.AddWithValue(rebuildId);
        command.Parameters.AddWithValue(Enumerable.Range(1, boundaries.Count).ToArray());
        command.Parameters.AddWithValue(boundaries.ToArray());
        command.Parameters.AddWithValue(boundaries.Skip(1).Append(null).ToArray()!);
        command.Parameters.AddWithValue(staleAfter);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>The page is tried again after a pause.</summary>
    /// <returns>How long the store has not answered; null where the page is done, or its rebuild has ended.</returns>
    public static async Task<TimeSpan?> PostponeAsync(
        NpgsqlDataSource source,
        Guid rebuildId,
        int part,
        int page,
        string reason,
        TimeSpan pause,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(PostponeSql);
        command.Parameters.AddWithValue(rebuildId);
        command.Parameters.AddWithValue(part);
        command.Parameters.AddWithValue(page);
        command.Parameters.AddWithValue(reason);
        command.Parameters.AddWithValue(pause);
        return await command.ExecuteScalarAsync(cancellation) as TimeSpan?;
    }

    /// <summary>Ends the work of a rebuild, in the saga's transaction: pages that are still on their way find no part.</summary>
    public static async Task<(int Partitions, long Pages, long Keys, long Removed)> CloseAsync(
        PipelineDbContext db,
        Guid rebuildId,
        CancellationToken cancellation
    )
    {
        const string Sql = """
            with closed as (
                delete from pipeline.catalog_rebuild_parts where rebuild_id = $1 returning number, pages, keys)
            select (count(*) filter (where number >= 0))::int,
                   coalesce(sum(pages) filter (where number >= 0), 0)::bigint,
                   coalesce(sum(keys) filter (where number >= 0), 0)::bigint,
                   coalesce(sum(keys) filter (where number < 0), 0)::bigint
            from closed
            """;
        await using var command = new NpgsqlCommand(Sql, db.Connection(), db.Transaction());
        command.Parameters.AddWithValue(rebuildId);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        await row.ReadAsync(cancellation);
        return (row.GetInt32(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3));
    }

    private static NpgsqlParameter<string?> Text(string? value) =>
        new() { TypedValue = value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text };
}
