using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using RabbitMQ.Client;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// The lanes on the broker: <c>save-image</c> and the other commands' exchanges → <c>project-lanes</c> (consistent hash
/// of the routing key) → <c>project-lane-NN</c>.
/// </summary>
internal static class LaneTopology
{
    // The broker's backstop. A message that kills its worker is found long before, by LaneApplier, and gets a receipt.
    private const int DeliveryLimit = 100;

    // One point on the hash ring a lane: the exchange's binding key is the queue's weight.
    private const string Weight = "1";

    /// <summary>Declares everything that a publisher needs; declaring it again changes nothing.</summary>
    /// <remarks>
    /// Lanes first, commands last: while a lane were missing, the hash would give its projects to another one.
    /// </remarks>
    public static async Task DeclareAsync(
        IChannel channel,
        int lanes,
        IEnumerable<Type> commands,
        CancellationToken cancellation
    )
    {
        await channel.ExchangeDeclareAsync(
            WireNames.LanesExchange,
            "x-consistent-hash",
            durable: true,
            cancellationToken: cancellation
        );

        for (var lane = 0; lane < lanes; lane++)
        {
            var queue = WireNames.LaneQueue(lane);
            await QueueTopology.DeclareAsync(channel, queue, Arguments(queue), cancellation);
            await channel.QueueBindAsync(queue, WireNames.LanesExchange, Weight, cancellationToken: cancellation);
        }

        foreach (var command in commands.Select(WireNames.ExchangeOf))
        {
            await channel.ExchangeDeclareAsync(
                command,
                ExchangeType.Fanout,
                durable: true,
                cancellationToken: cancellation
            );
            await channel.ExchangeBindAsync(
                WireNames.LanesExchange,
                command,
                routingKey: "",
                cancellationToken: cancellation
            );
        }
    }

    private static Dictionary<string, object?> Arguments(string queue) =>
        new(QueueTopology.Arguments(queue, DeliveryLimit), StringComparer.Ordinal)
        {
            ["x-single-active-consumer"] = true,
        };
}
