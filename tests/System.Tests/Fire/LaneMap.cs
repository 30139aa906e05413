using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.SystemTests.Fire;

/// <summary>Which lane each project hashes to, as the broker shows it: the queue that grows by the project's message.</summary>
internal static class LaneMap
{
    public const int Lanes = 8;

    /// <summary>Publishes one message for each project, in turn. No worker may be running, and nobody else may publish.</summary>
    public static async Task<Dictionary<Guid, int>> ReadAsync(
        Stack stack,
        IEnumerable<Guid> projects,
        Func<Guid, WireMessage> message
    )
    {
        await using var publisher = stack.NewPublisher();
        await using var connection = await new ConnectionFactory { Uri = stack.Broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        var map = new Dictionary<Guid, int>();
        var before = await CountsAsync(channel);
        foreach (var project in projects)
        {
            await publisher.PublishAsync(message(project), CancellationToken.None);
            var after = before;
            await stack.UntilAsync(
                $"a lane with the definition of {project}",
                async () => !(after = await CountsAsync(channel)).SequenceEqual(before)
            );
            map[project] = Enumerable.Range(0, Lanes).Single(x => after[x] != before[x]);
            before = after;
        }

        return map;
    }

    private static async Task<uint[]> CountsAsync(IChannel channel)
    {
        var counts = new uint[Lanes];
        for (var lane = 0; lane < Lanes; lane++)
            counts[lane] = (await channel.QueueDeclarePassiveAsync(WireNames.LaneQueue(lane))).MessageCount;
        return counts;
    }
}
