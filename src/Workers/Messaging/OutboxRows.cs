using Npgsql;
using Pipeline.Wire;

namespace Pipeline.Workers.Messaging;

/// <summary>A message of the outbox.</summary>
internal sealed record OutboxRow(long Id, WireMessage Message);

/// <summary>What the relay reads from <c>pipeline.outbox</c> and takes out of it.</summary>
internal static class OutboxRows
{
    private const string Columns = "select id, exchange, routing_key, message_id, body, mandatory from pipeline.outbox";

    // Always from the first one: of a saga's two messages the earlier may be committed after a batch was read, and the
    // later before the next one is. A batch that began behind the one before would send the later one first.
    private const string ReadSql = $"{Columns} where id <> all($2) and exchange <> all($3) order by id limit $1";

    private const string HeldRowSql = $"{Columns} where id = $1";

    private const string HeldExchangeSql = $"{Columns} where exchange = $1 order by id limit 1";

    // Counts up to 10,000: a longer outbox is not counted over and over while it is being emptied.
    private const string MeasureSql = """
        select (select count(*) from (select from pipeline.outbox order by id limit 10000) w),
               coalesce(extract(epoch from now() - (select created_at from pipeline.outbox order by id limit 1)), 0)::float8
        """;

    /// <param name="connection">The leader's.</param>
    /// <param name="limit">Rows at most.</param>
    /// <param name="without">Rows that are passed over.</param>
    /// <param name="withoutExchanges">Exchanges whose rows are passed over.</param>
    /// <param name="cancellation">The process's.</param>
    public static async Task<List<OutboxRow>> ReadAsync(
        NpgsqlConnection connection,
        int limit,
        long[] without,
        string[] withoutExchanges,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(ReadSql, connection);
        command.Parameters.AddWithValue(limit);
        command.Parameters.AddWithValue(without);
        command.Parameters.AddWithValue(withoutExchanges);
        return await ReadAsync(command, cancellation);
    }

    /// <summary>The first row of a hold; none where all of them are gone.</summary>
    public static async Task<List<OutboxRow>> ReadAsync(
        NpgsqlConnection connection,
        OutboxHold hold,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(hold.Id is null ? HeldExchangeSql : HeldRowSql, connection);
        command.Parameters.AddWithValue(hold.Id is { } id ? id : hold.Exchange!);
        return await ReadAsync(command, cancellation);
    }

    public static async Task DeleteAsync(NpgsqlConnection connection, long[] ids, CancellationToken cancellation)
    {
        await using var delete = new NpgsqlCommand("delete from pipeline.outbox where id = any($1)", connection);
        delete.Parameters.AddWithValue(ids);
        await delete.ExecuteNonQueryAsync(cancellation);
    }

    /// <returns>How many rows wait, and the age of the oldest in seconds.</returns>
    public static async Task<(long Waiting, double OldestSeconds)> MeasureAsync(
        NpgsqlConnection connection,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(MeasureSql, connection);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        await row.ReadAsync(cancellation);
        return (row.GetInt64(0), row.GetDouble(1));
    }

    private static async Task<List<OutboxRow>> ReadAsync(NpgsqlCommand command, CancellationToken cancellation)
    {
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var rows = new List<OutboxRow>();
        while (await row.ReadAsync(cancellation))
        {
            var message = new WireMessage(
                row.GetString(1),
                row.GetString(2),
                row.GetGuid(3),
                row.GetFieldValue<byte[]>(4),
                row.GetBoolean(5)
            );
            rows.Add(new OutboxRow(row.GetInt64(0), message));
        }

        return rows;
    }
}
