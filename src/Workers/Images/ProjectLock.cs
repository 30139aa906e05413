using Npgsql;

namespace Pipeline.Workers.Images;

/// <summary>
/// The lock that every write of a project holds, for whoever decides about its objects outside of a lane.
/// </summary>
internal static class ProjectLock
{
    private const string LockSql = "select from pipeline.projects where id = $1 for update";

    // A project whose first command is being committed has no row to lock yet. Whoever inserts the same id waits for
    // that commit, and the other way round.
    private const string InsertSql = """
        insert into pipeline.projects (id, version, created_at, updated_at) values ($1, 0, now(), now())
        on conflict do nothing
        """;

    private const string DeleteSql = "delete from pipeline.projects where id = $1";

    /// <summary>Waits for whoever writes to the project; held until the transaction's end. It makes no project.</summary>
    public static async Task TakeAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid projectId,
        CancellationToken cancellation
    )
    {
        var isNew = await ExecuteAsync(InsertSql) == 1;
        await ExecuteAsync(isNew ? DeleteSql : LockSql);

        async Task<int> ExecuteAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection, transaction);
            command.Parameters.AddWithValue(projectId);
            return await command.ExecuteNonQueryAsync(cancellation);
        }
    }
}
