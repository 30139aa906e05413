using Npgsql;

namespace Pipeline.Bench;

/// <summary>Row locks that keep both contenders from applying anything while their queues fill.</summary>
internal sealed class RowHold : IAsyncDisposable
{
    private readonly NpgsqlConnection _connection;
    private readonly NpgsqlTransaction _transaction;

    private RowHold(NpgsqlConnection connection, NpgsqlTransaction transaction)
    {
        _connection = connection;
        _transaction = transaction;
    }

    /// <param name="source">The database.</param>
    /// <param name="sql">Selects the rows for update; its one parameter is the projects' ids.</param>
    /// <param name="projects">Whose rows.</param>
    /// <param name="cancellation">Ends the waiting for the locks.</param>
    public static async Task<RowHold> TakeAsync(
        NpgsqlDataSource source,
        string sql,
        Guid[] projects,
        CancellationToken cancellation
    )
    {
        var connection = await source.OpenConnectionAsync(cancellation);
        var transaction = await connection.BeginTransactionAsync(cancellation);
        await using var command = new NpgsqlCommand(sql, connection, transaction);
        command.Parameters.AddWithValue(projects);
        await command.ExecuteNonQueryAsync(cancellation);
        return new RowHold(connection, transaction);
    }

    /// <summary>Lets go.</summary>
    /// <returns>The moment before, UTC.</returns>
    public async Task<DateTime> ReleaseAsync()
    {
        var before = DateTime.UtcNow;
        await _transaction.CommitAsync();
        return before;
    }

    public async ValueTask DisposeAsync()
    {
        await _transaction.DisposeAsync();
        await _connection.DisposeAsync();
    }
}
