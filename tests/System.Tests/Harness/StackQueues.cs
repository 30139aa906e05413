using RabbitMQ.Client;

namespace Pipeline.SystemTests.Harness;

/// <summary>What lies in a pipeline's queues.</summary>
internal static class StackQueues
{
    /// <summary>
    /// Messages that are still on their way: in the outbox, or in a queue that is neither for dead letters nor a
    /// listener's, which nobody reads.
    /// </summary>
    public static async Task<long> PendingAsync(this Stack stack)
    {
        var inOutbox = await stack.ScalarAsync<long>("select count(*) from pipeline.outbox");
        return inOutbox
            + (await QueuesAsync(stack)).Where(x => !x.IsDeadLetters && !x.IsListeners).Sum(x => x.Messages);
    }

    /// <summary>The dead letters' queues that are not empty, with their counts.</summary>
    public static async Task<List<string>> DeadLettersAsync(this Stack stack) =>
        [
            .. (await QueuesAsync(stack))
                .Where(x => x.IsDeadLetters && x.Messages > 0)
                .Select(x => $"{x.Name}: {x.Messages}"),
        ];

    public static async Task<long> DeadLetterCountAsync(this Stack stack) =>
        (await QueuesAsync(stack)).Where(x => x.IsDeadLetters).Sum(x => x.Messages);

    /// <summary>As the broker itself counts: the management's numbers lag behind.</summary>
    private static async Task<List<QueueCount>> QueuesAsync(Stack stack)
    {
        await using var connection = await new ConnectionFactory { Uri = stack.Broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        var counts = new List<QueueCount>();
        foreach (var name in await stack.NamesAsync("queues"))
            counts.Add(new QueueCount(name, (await channel.QueueDeclarePassiveAsync(name)).MessageCount));
        return counts;
    }
}

/// <summary>How many messages lie ready in a queue; what a consumer has taken and not answered is not among them.</summary>
internal sealed record QueueCount(string Name, long Messages)
{
    public bool IsDeadLetters =>
        Name.EndsWith("_error", StringComparison.Ordinal) || Name.EndsWith("_skipped", StringComparison.Ordinal);

    public bool IsListeners => Name.StartsWith("listener", StringComparison.Ordinal);
}
