using Npgsql;
using Pipeline.Contracts.Deleting;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Erasing;

/// <summary>One erasure as the worker that has claimed it knows it.</summary>
/// <param name="Id">Derived from project and command.</param>
/// <param name="CommandId">Its command.</param>
/// <param name="ProjectId">The project.</param>
/// <param name="Epoch">Of the claim; with another one in the row, another worker has it.</param>
/// <param name="Passes">How often everything was looked through.</param>
internal sealed record Erasure(Guid Id, Guid CommandId, Guid ProjectId, long Epoch, int Passes);

/// <summary>
/// Rows of <c>pipeline.erasures</c>. What is erased commits with its count and only while the claim holds, so that a
/// worker that was paused adds nothing to its successor's.
/// </summary>
internal sealed class ErasureStore(NpgsqlDataSource source, TimeProvider clock)
{
    // Renewed with each batch. A worker that has ended is succeeded after so long.
    private static readonly TimeSpan ClaimLength = TimeSpan.FromMinutes(2);

    private const string ClaimSql = """
        update pipeline.erasures set epoch = epoch + 1, due_at = now() + $1, updated_at = now()
        where id = (select id from pipeline.erasures where ended_at is null and due_at <= now()
                    order by due_at limit 1 for update skip locked)
        returning id, command_id, project_id, epoch, passes
        """;

    private const string RenewSql = """
        update pipeline.erasures set due_at = now() + $3, updated_at = now() where id = $1 and epoch = $2
        """;

    private const string PostponeSql = """
        update pipeline.erasures set due_at = now() + $3, waits_for = $4, passes = $5, updated_at = now()
        where id = $1 and epoch = $2
        """;

    private const string CountSql = """
        insert into pipeline.erasure_counts as c (erasure_id, location, count) values ($1, $2, $3)
        on conflict (erasure_id, location) do update set count = c.count + excluded.count
        """;

    private const string CountsSql = """
        select location, count from pipeline.erasure_counts where erasure_id = $1 order by location
        """;

    private const string EndSql = """
        update pipeline.erasures set ended_at = $3, updated_at = $3, waits_for = null where id = $1 and epoch = $2
        """;

    /// <returns>Null where none is due.</returns>
    public async Task<Erasure?> ClaimAsync(CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(ClaimSql);
        command.Parameters.AddWithValue(ClaimLength);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation)
            ? new Erasure(row.GetGuid(0), row.GetGuid(1), row.GetGuid(2), row.GetInt64(3), row.GetInt32(4))
            : null;
    }

    /// <summary>Gives the claim back for a while.</summary>
    /// <param name="erasure">The claimed one.</param>
    /// <param name="pause">Until it is looked at again.</param>
    /// <param name="waitsFor">For people.</param>
    /// <param name="passes">Passes that were made.</param>
    /// <param name="cancellation">The caller's.</param>
    public async Task PostponeAsync(
        Erasure erasure,
        TimeSpan pause,
        string waitsFor,
        int passes,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(PostponeSql);
        Add(command, erasure.Id, erasure.Epoch, pause, waitsFor, passes);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Runs one statement for the project, and commits it with the count of what it has affected.</summary>
    /// <returns>How many rows it has affected.</returns>
    /// <exception cref="ErasureLostException">Another worker has the erasure; nothing was committed.</exception>
    public async Task<int> EraseAsync(
        Erasure erasure,
        string location,
        string sql,
        int limit,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await RenewAsync(connection, erasure, cancellation);
        await using var erase = new NpgsqlCommand(sql, connection, transaction);
        Add(erase, erasure.ProjectId, limit);
        var rows = await erase.ExecuteNonQueryAsync(cancellation);
        await CountAsync(connection, erasure, location, rows, cancellation);
        await transaction.CommitAsync(cancellation);
        return rows;
    }

    /// <summary>Adds what is removed elsewhere to the report, before it is removed.</summary>
    /// <inheritdoc cref="EraseAsync" path="/exception"/>
    public async Task CountAsync(Erasure erasure, string location, long count, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await RenewAsync(connection, erasure, cancellation);
        await CountAsync(connection, erasure, location, count, cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>The end, with its event.</summary>
    /// <param name="erasure">The claimed one.</param>
    /// <param name="others">What others have removed; they know how much.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <inheritdoc cref="EraseAsync" path="/exception"/>
    public async Task EndAsync(Erasure erasure, IEnumerable<ErasureCount> others, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await RenewAsync(connection, erasure, cancellation);
        foreach (var other in others)
        {
            await using var ask = new NpgsqlCommand(other.Sql, connection, transaction);
            ask.Parameters.AddWithValue(erasure.ProjectId);
            var count = Convert.ToInt64(await ask.ExecuteScalarAsync(cancellation), provider: null);
            await CountAsync(connection, erasure, other.Location, count, cancellation);
        }

        var at = clock.GetDatabaseNow();
        var locations = await ReadCountsAsync(connection, erasure, cancellation);
        var erased = new ProjectErased(erasure.CommandId, erasure.ProjectId, locations, at);
        var announcement = Announcement.OfCause(erasure.Id, erased).ToWire(erasure.ProjectId);
        await Outbox.AppendAsync(connection, transaction, [announcement], cancellation);
        await using var end = new NpgsqlCommand(EndSql, connection, transaction);
        Add(end, erasure.Id, erasure.Epoch, at);
        await end.ExecuteNonQueryAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    private static async Task RenewAsync(NpgsqlConnection connection, Erasure erasure, CancellationToken cancellation)
    {
        await using var renew = new NpgsqlCommand(RenewSql, connection);
        Add(renew, erasure.Id, erasure.Epoch, ClaimLength);
        if (await renew.ExecuteNonQueryAsync(cancellation) == 0)
            throw new ErasureLostException(erasure.Id);
    }

    private static async Task CountAsync(
        NpgsqlConnection connection,
        Erasure erasure,
        string location,
        long count,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(CountSql, connection);
        Add(command, erasure.Id, location, count);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static async Task<List<ErasedLocation>> ReadCountsAsync(
        NpgsqlConnection connection,
        Erasure erasure,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(CountsSql, connection);
        Add(command, erasure.Id);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var counts = new List<ErasedLocation>();
        while (await row.ReadAsync(cancellation))
            counts.Add(new ErasedLocation(row.GetString(0), row.GetInt64(1)));
        return counts;
    }

    private static void Add(NpgsqlCommand command, params ReadOnlySpan<object> values)
    {
        foreach (var value in values)
            command.Parameters.AddWithValue(value);
    }
}

/// <summary>Another worker goes on with the erasure: this one was away for too long.</summary>
internal sealed class ErasureLostException(Guid id) : Exception($"Another worker has taken erasure {id} over.");
