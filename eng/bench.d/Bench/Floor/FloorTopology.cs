using RabbitMQ.Client;

namespace Pipeline.Bench.Floor;

/// <summary>As the lanes have it: a consistent-hash exchange and quorum queues, eight of them if nothing else is said.</summary>
internal static class FloorTopology
{
    public const string Exchange = "bench-floor";

    /// <summary>As the lanes have it, so that as much lies ready on both sides when a drain begins.</summary>
    public const ushort Prefetch = 512;

    /// <summary>Commands in one transaction, as the lanes have it.</summary>
    public const int BatchLimit = 256;

    public static string Queue(int number) => $"{Exchange}-{number:D2}";

    /// <summary>Makes the queues on a virtual host that is empty.</summary>
    public static async Task DeclareAsync(IChannel channel, int queues, CancellationToken cancellation)
    {
        await channel.ExchangeDeclareAsync(
            Exchange,
            "x-consistent-hash",
            durable: true,
            cancellationToken: cancellation
        );
        for (var number = 0; number < queues; number++)
        {
            var queue = Queue(number);
            await channel.QueueDeclareAsync(
                queue,
                durable: true,
                exclusive: false,
                autoDelete: false,
                new Dictionary<string, object?>(StringComparer.Ordinal)
                {
                    ["x-queue-type"] = "quorum",
                    ["x-single-active-consumer"] = true,
                },
                cancellationToken: cancellation
            );
            await channel.QueueBindAsync(queue, Exchange, routingKey: "1", cancellationToken: cancellation);
        }
    }
}
