using Npgsql;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Deleting;

/// <summary>What a deletion is about, as its workers need it.</summary>
/// <param name="Prefix">What the keys of its objects begin with; null for a single object.</param>
/// <param name="ObjectKey">The single object; null otherwise.</param>
internal sealed record DeletionScope(Guid Id, int Attempt, string? Prefix, string? ObjectKey);

/// <summary>
/// Rows of <c>pipeline.deletion_keys</c>: which objects a deletion has to do with, and which of them are gone.
/// </summary>
internal sealed class DeletionKeys(NpgsqlDataSource source)
{
    private const string ScopeSql = """
        select correlation_id, attempt, kind, project_id, image_id, object_key
        from pipeline.deletions where correlation_id = $1
        """;

    // One that is listed again, after it was gone, is open again.
    private const string AddSql = """
        insert into pipeline.deletion_keys as k (deletion_id, key) select $1, key from unnest($2) as key
        on conflict (deletion_id, key) do update set purged_at = null where k.purged_at is not null
        """;

    private const string PurgedSql = """
        with gone as (delete from pipeline.catalog_objects where key = any($2))
        update pipeline.deletion_keys set purged_at = now(), reason = null where deletion_id = $1 and key = any($2)
        """;

    private const string RefusedSql = """
        update pipeline.deletion_keys k set reason = r.reason
        from unnest($2, $3) as r (key, reason) where k.deletion_id = $1 and k.key = r.key
        """;

    private const string AllPurgedSql = """
        with open as (
            update pipeline.deletion_keys set purged_at = now(), reason = null
            where deletion_id = $1 and purged_at is null returning key)
        delete from pipeline.catalog_objects o using open k where o.key = k.key
        """;

    private const string PageSql = """
        select key from pipeline.deletion_keys where deletion_id = $1 and key > $2 order by key limit $3
        """;

    private const string CountLeftSql = """
        select count(*)::int from pipeline.deletion_keys where deletion_id = $1 and purged_at is null
        """;

    private const string ForgetSql = """
        with gone as (delete from pipeline.deletion_keys where deletion_id = $1 returning key)
        select count(*)::int from gone
        """;

    /// <returns>Null where the deletion is not there.</returns>
    public async Task<DeletionScope?> ScopeAsync(Guid deletionId, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(ScopeSql);
        command.Parameters.AddWithValue(deletionId);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        if (!await row.ReadAsync(cancellation))
            return null;

        var project = row.GetGuid(3);
        return row.GetString(2) switch
        {
            DeletionSaga.Image => Scope(ObjectKeys.PrefixOfImage(project, row.GetGuid(4)), objectKey: null),
            DeletionSaga.Project => Scope(ObjectKeys.PrefixOfProject(project), objectKey: null),
            _ => Scope(prefix: null, row.GetString(5)),
        };

        DeletionScope Scope(string? prefix, string? objectKey) =>
            new(row.GetGuid(0), row.GetInt32(1), prefix, objectKey);
    }

    /// <summary>Writes down what is about to be deleted: after a crash the CDNs are still told of all of it.</summary>
    public Task AddAsync(Guid deletionId, string[] keys, CancellationToken cancellation) =>
        ExecuteAsync(AddSql, cancellation, deletionId, keys);

    /// <summary>These are gone, and the catalogue forgets them.</summary>
    public Task PurgedAsync(Guid deletionId, string[] keys, CancellationToken cancellation) =>
        ExecuteAsync(PurgedSql, cancellation, deletionId, keys);

    /// <summary>These are not, and why.</summary>
    public Task RefusedAsync(Guid deletionId, string[] keys, string[] reasons, CancellationToken cancellation) =>
        ExecuteAsync(RefusedSql, cancellation, deletionId, keys, reasons);

    /// <summary>The store has none of them any more.</summary>
    public Task AllPurgedAsync(Guid deletionId, CancellationToken cancellation) =>
        ExecuteAsync(AllPurgedSql, cancellation, deletionId);

    /// <summary>Keys of the deletion, in their order: always the same pages, since verified keys do not change.</summary>
    /// <param name="deletionId">The deletion.</param>
    /// <param name="after">The last key of the page before; empty for the first one.</param>
    /// <param name="limit">Keys in a page.</param>
    /// <param name="cancellation">Ends the query.</param>
    public async Task<List<string>> PageAsync(Guid deletionId, string after, int limit, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(PageSql);
        command.Parameters.AddWithValue(deletionId);
        command.Parameters.AddWithValue(after);
        command.Parameters.AddWithValue(limit);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var keys = new List<string>();
        while (await row.ReadAsync(cancellation))
            keys.Add(row.GetString(0));
        return keys;
    }

    /// <summary>Objects that are not known to be gone, in the saga's transaction.</summary>
    public static Task<int> CountLeftAsync(PipelineDbContext db, Guid deletionId, CancellationToken cancellation) =>
        CountAsync(db, CountLeftSql, deletionId, cancellation);

    /// <summary>Ends the list of a completed deletion, in the saga's transaction.</summary>
    /// <returns>How many objects it had.</returns>
    public static Task<int> ForgetAsync(PipelineDbContext db, Guid deletionId, CancellationToken cancellation) =>
        CountAsync(db, ForgetSql, deletionId, cancellation);

    private static async Task<int> CountAsync(
        PipelineDbContext db,
        string sql,
        Guid deletionId,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(sql, db.Connection(), db.Transaction());
        command.Parameters.AddWithValue(deletionId);
        return (int)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private async Task ExecuteAsync(string sql, CancellationToken cancellation, params object[] values)
    {
        await using var command = source.CreateCommand(sql);
        foreach (var value in values)
            command.Parameters.AddWithValue(value);
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
