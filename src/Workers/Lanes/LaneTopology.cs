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
    // The broker's last resort. A message that kills its worker is found long before, by LaneApplier, and gets a
    // receipt. Each time a lane's channel closes, every message on its way counts as delivered once more: a limit
    // that a lane which breaks repeatedly could reach would dead-letter the neighbours of the message that breaks it.
    private const int DeliveryLimit = 1000;

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

    /// <summary>The lanes, which an upgrade declares anew together.</summary>
    /// <remarks>
    /// The order of binding decides which project has which lane, so that one lane that is bound anew may move projects
    /// between all of them: every lane must be empty.
    /// </remarks>
    public static QueueGroup GroupOf(int lanes, IEnumerable<Type> commands)
    {
        string[] names = [.. Enumerable.Range(0, lanes).Select(WireNames.LaneQueue)];
        return new QueueGroup(names, [.. names.SelectMany(x => QueueTopology.WithDeadLetters(x, Arguments(x)))])
        {
            Exchange = WireNames.LanesExchange,
            Sources = [.. commands.Select(WireNames.ExchangeOf)],
        };
    }

    /// <summary>Refuses to go on where there are more lanes than this worker knows.</summary>
    /// <remarks>
    /// The exchange would hash projects into a queue that nobody reads. The number of lanes in the database does not
    /// show it: its rows may have been deleted, and the queues not.
    /// </remarks>
    /// <exception cref="InvalidOperationException">Says which queue is there, and what to do.</exception>
    public static async Task RequireNoMoreAsync(IConnection connection, int lanes, CancellationToken cancellation)
    {
        var queue = WireNames.LaneQueue(lanes);
        if (await QueueState.ReadAsync(connection, queue, cancellation) is not null)
            throw new InvalidOperationException(
                $"Queue '{queue}' exists although Lanes__Count is {lanes}: its projects' commands would be read by nobody. Set the count with which the lanes were made, or delete the queues that are too many (docs/operations.md, 'Changing the lane count')."
            );
    }

    private static Dictionary<string, object?> Arguments(string queue) =>
        new(QueueTopology.Arguments(queue, DeliveryLimit), StringComparer.Ordinal)
        {
            ["x-single-active-consumer"] = true,
        };
}
