using Npgsql;

namespace Pipeline.Workers.Messaging;

/// <summary>The list of queues in <c>pipeline.queues</c>, by which the publisher finds the dead letters.</summary>
internal static class QueueList
{
    private const string RecordSql = """
        insert into pipeline.queues (name, declared_at) select name, now() from unnest($1) as name
        on conflict (name) do update set declared_at = excluded.declared_at
        """;

    public static async Task RecordQueuesAsync(
        this NpgsqlDataSource source,
        string[] queues,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(RecordSql);
        command.Parameters.AddWithValue(queues);
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
