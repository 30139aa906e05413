using System.Text;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;

namespace Pipeline.SystemTests.Harness;

/// <summary>A text that a test puts wherever a prompt can appear, and looks for afterwards.</summary>
internal sealed class Canary
{
    public string Text { get; } = $"canary{Guid.NewGuid():N}";

    /// <summary>Every location where it is: rows, messages, objects.</summary>
    public async Task<List<string>> FindAsync(Stack stack, ScratchBucket bucket) =>
        [.. await InRowsAsync(stack), .. await InQueuesAsync(stack), .. await InBucketAsync(bucket)];

    /// <summary>Each row of each table as its text, in which bytes are hexadecimal.</summary>
    private async Task<List<string>> InRowsAsync(Stack stack)
    {
        var tables = await stack.RowsAsync(
            """
            select format('%I.%I', table_schema, table_name) from information_schema.tables
            where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')
            """,
            x => x.GetString(0)
        );
        tables.Count.ShouldBeGreaterThan(30); // A search that looks nowhere finds nothing.
        var found = new List<string>();
        foreach (var table in tables)
        {
            var rows = await stack.ScalarAsync<long>(
                $"select count(*) from {table} t where t::text ilike $1 or t::text ilike $2",
                $"%{Text}%",
                $"%{Convert.ToHexString(Encoding.UTF8.GetBytes(Text))}%"
            );
            if (rows > 0)
                found.Add($"table {table}: {rows}");
        }

        return found;
    }

    private async Task<List<string>> InQueuesAsync(Stack stack)
    {
        await using var connection = await new ConnectionFactory { Uri = stack.Broker }.CreateConnectionAsync();
        var found = new List<string>();
        foreach (var queue in await stack.NamesAsync("queues"))
        {
            // What is not answered goes back when its channel ends.
            await using var channel = await connection.CreateChannelAsync();
            if (WireNames.ExchangeTo(queue) == WireNames.LanesExchange)
            {
                // Nobody may get from a lane; what lies in it could be anything.
                if (await channel.MessageCountAsync(queue) > 0)
                    found.Add($"queue {queue}, unread");
                continue;
            }

            while (await channel.BasicGetAsync(queue, autoAck: false) is { } message)
            {
                var headers = message.BasicProperties.Headers?.Select(x => $"{x.Key} {TextOf(x.Value)}") ?? [];
                var whole = string.Join(
                    '\n',
                    [message.RoutingKey, Encoding.UTF8.GetString(message.Body.Span), .. headers]
                );
                if (whole.Contains(Text, StringComparison.OrdinalIgnoreCase))
                    found.Add($"queue {queue}");
            }
        }

        return found;
    }

    private async Task<List<string>> InBucketAsync(ScratchBucket bucket)
    {
        var found = new List<string>();
        foreach (var key in await bucket.KeysAsync())
        {
            using var answer = await bucket.Client.GetObjectAsync(bucket.Name, key);
            using var bytes = new MemoryStream();
            await answer.ResponseStream.CopyToAsync(bytes);
            var whole = key + Encoding.Latin1.GetString(bytes.ToArray());
            if (whole.Contains(Text, StringComparison.OrdinalIgnoreCase))
                found.Add($"object {key}");
        }

        return found;
    }

    private static string? TextOf(object? value) =>
        value switch
        {
            byte[] bytes => Encoding.UTF8.GetString(bytes),
            System.Collections.IList list => string.Join(' ', list.Cast<object?>().Select(TextOf)),
            IDictionary<string, object?> table => string.Join(' ', table.Select(x => $"{x.Key} {TextOf(x.Value)}")),
            _ => value?.ToString(),
        };
}
