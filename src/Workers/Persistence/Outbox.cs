using Npgsql;
using NpgsqlTypes;
using Pipeline.Wire;

namespace Pipeline.Workers.Persistence;

/// <summary>Messages that commit together with the rows they announce; <c>OutboxRelay</c> publishes them afterwards.</summary>
internal static class Outbox
{
    private const string AppendSql = """
        insert into pipeline.outbox (exchange, routing_key, message_id, body, mandatory)
        select * from unnest(@exchanges, @routing_keys, @message_ids, @bodies, @mandatory)
        """;

    /// <summary>Adds messages to the open transaction, in this order.</summary>
    public static async Task AppendAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        IReadOnlyList<WireMessage> messages,
        CancellationToken cancellation
    )
    {
        if (messages.Count == 0)
            return;

        await using var command = new NpgsqlCommand(AppendSql, connection, transaction);
        command.Parameters.AddWithValue("exchanges", messages.Select(x => x.Exchange).ToArray());
        command.Parameters.AddWithValue("routing_keys", messages.Select(x => x.RoutingKey).ToArray());
        command.Parameters.AddWithValue("message_ids", messages.Select(x => x.MessageId).ToArray());
        command.Parameters.AddWithValue(
            "bodies",
            NpgsqlDbType.Array | NpgsqlDbType.Bytea,
            messages.Select(x => x.Body.ToArray()).ToArray()
        );
        command.Parameters.AddWithValue("mandatory", messages.Select(x => x.Mandatory).ToArray());
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
