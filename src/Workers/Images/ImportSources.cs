using Npgsql;
using Pipeline.Wire;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Images;

/// <summary>
/// Objects under <c>uploads/</c> and <c>generated/</c> that an import has begun to read and not decided, or that failed
/// and wait for their replay: whoever clears such objects away leaves these.
/// </summary>
internal static class ImportSources
{
    private const string BeginSql = """
        insert into pipeline.import_sources (key, project_id, command_id, begun_at) values ($1, $2, $3, $4)
        on conflict do nothing
        """;

    private const string EndSql = "delete from pipeline.import_sources where command_id = $1 and project_id = $2";

    private const string ReadSql = "select distinct key from pipeline.import_sources where key = any($1)";

    /// <param name="connection">The transaction's.</param>
    /// <param name="transaction">Commits it, before the object is read.</param>
    /// <param name="key">The object.</param>
    /// <param name="import">The import.</param>
    /// <param name="at">UTC.</param>
    /// <param name="cancellation">The caller's.</param>
    public static async Task BeginAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        string key,
        CommandKey import,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(BeginSql, connection, transaction);
        command.Parameters.AddWithValue(key);
        command.Parameters.AddWithValue(import.Scope);
        command.Parameters.AddWithValue(import.CommandId);
        command.Parameters.AddWithValue(at);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>The import needs its object no more.</summary>
    public static async Task EndAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        CommandKey import,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(EndSql, connection, transaction);
        command.Parameters.AddWithValue(import.CommandId);
        command.Parameters.AddWithValue(import.Scope);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Those of the keys that an import still needs.</summary>
    public static async Task<HashSet<string>> AmongAsync(
        NpgsqlDataSource source,
        IReadOnlyCollection<string> keys,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(ReadSql);
        command.Parameters.AddWithValue(keys.ToArray());
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var found = new HashSet<string>(StringComparer.Ordinal);
        while (await row.ReadAsync(cancellation))
            found.Add(row.GetString(0));
        return found;
    }
}
