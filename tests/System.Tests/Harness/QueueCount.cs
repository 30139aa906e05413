using RabbitMQ.Client;

namespace Pipeline.SystemTests.Harness;

/// <summary>How many messages lie ready in a queue; what a consumer has taken and not answered is not among them.</summary>
internal sealed record QueueCount(string Name, long Messages)
{
    public bool IsDeadLetters =>
        Name.EndsWith("_error", StringComparison.Ordinal) || Name.EndsWith("_skipped", StringComparison.Ordinal);

    /// <summary>As the broker itself counts: the management's numbers lag behind.</summary>
    public static async Task<List<QueueCount>> OfAsync(Uri broker, IEnumerable<string> queues)
    {
        await using var connection = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        var counts = new List<QueueCount>();
        foreach (var name in queues)
            counts.Add(new QueueCount(name, (await channel.QueueDeclarePassiveAsync(name)).MessageCount));
        return counts;
    }
}
