using RabbitMQ.Client;

namespace Pipeline.Bench.Floor;

/// <summary>The same shape as the lanes: a consistent-hash exchange and eight quorum queues.</summary>
internal static class FloorTopology
{
    public const string Exchange = "bench-floor";

    public const int Queues = 8;

    /// <summary>Processes; queue N belongs to process N modulo this, since a single active consumer does not spread.</summary>
    public const int Processes = 2;

    public const ushort Prefetch = 256;

    public static string Queue(int number) => $"{Exchange}-{number:D2}";

    /// <summary>Makes empty queues.</summary>
    public static async Task ResetAsync(IChannel channel, CancellationToken cancellation)
    {
        await channel.ExchangeDeclareAsync(
            Exchange,
            "x-consistent-hash",
            durable: true,
            cancellationToken: cancellation
        );
        for (var number = 0; number < Queues; number++)
        {
            var queue = Queue(number);
            await channel.QueueDeleteAsync(queue, ifUnused: false, ifEmpty: false, cancellationToken: cancellation);
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
