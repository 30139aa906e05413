using MassTransit;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Workers.Messaging;

/// <summary>A queue of competing workers, behind a fanout exchange of its own name. Its slice registers it.</summary>
/// <param name="Name">The queue and its exchange.</param>
/// <param name="Exchanges">Messages that it takes besides: their exchanges are bound to its own.</param>
internal sealed record WorkQueue(string Name, params string[] Exchanges);

/// <summary>A work queue into which somebody publishes JSON who knows nothing of this pipeline.</summary>
/// <param name="Name">The queue.</param>
/// <param name="Message">What everything in it is read as.</param>
internal sealed record ForeignQueue(string Name, Type Message);

/// <summary>How queues are made, so that MassTransit's declarations and these are the same.</summary>
internal static class QueueTopology
{
    // A message whose worker dies this often is no bad luck; the broker moves it to the dead letters.
    private const int WorkQueueDeliveryLimit = 20;

    // A person who looks into the dead letters takes them out and puts them back, which counts as a delivery. From
    // RabbitMQ 4.0 on a queue without a limit of its own has one of 20, past which a message without a dead-letter
    // exchange is dropped. This one is never reached.
    private const int DeadLetterDeliveryLimit = 1_000_000_000;

    /// <summary>Arguments of a quorum queue whose hopeless messages go to its <c>_error</c> queue.</summary>
    /// <param name="queue">Its name.</param>
    /// <param name="deliveryLimit">Deliveries without an answer.</param>
    public static Dictionary<string, object?> Arguments(string queue, int deliveryLimit = WorkQueueDeliveryLimit) =>
        new(StringComparer.Ordinal)
        {
            ["x-queue-type"] = "quorum",
            ["x-delivery-limit"] = deliveryLimit,
            ["x-dead-letter-exchange"] = WireNames.ErrorQueue(queue),
        };

    /// <summary>What a dead-letter queue must not inherit from its queue.</summary>
    /// <remarks>A single active consumer forbids <c>basic.get</c> (405), and dead letters have no dead letters.</remarks>
    public static void ConfigureDeadLetters(IRabbitMqQueueConfigurator queue)
    {
        queue.SetQueueArgument("x-single-active-consumer", value: null);
        queue.SetQueueArgument("x-delivery-limit", DeadLetterDeliveryLimit);
        queue.SetQueueArgument("x-dead-letter-exchange", value: null);
    }

    /// <summary>
    /// Declares a queue with its dead-letter queues, so that they are there before the first message needs them.
    /// </summary>
    public static async Task DeclareAsync(
        IChannel channel,
        string queue,
        Dictionary<string, object?> arguments,
        CancellationToken cancellation
    )
    {
        var deadLetters = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["x-queue-type"] = "quorum",
            ["x-delivery-limit"] = DeadLetterDeliveryLimit,
        };
        foreach (var name in WireNames.DeadLetterQueues(queue))
            await DeclareOneAsync(channel, name, deadLetters, cancellation);
        await DeclareOneAsync(channel, queue, arguments, cancellation);
    }

    /// <summary>Declares a slice's queue and binds what it listens to.</summary>
    public static async Task DeclareAsync(IChannel channel, WorkQueue queue, CancellationToken cancellation)
    {
        await DeclareAsync(channel, queue.Name, Arguments(queue.Name), cancellation);
        foreach (var exchange in queue.Exchanges)
        {
            await channel.ExchangeDeclareAsync(
                exchange,
                ExchangeType.Fanout,
                durable: true,
                cancellationToken: cancellation
            );
            await channel.ExchangeBindAsync(queue.Name, exchange, routingKey: "", cancellationToken: cancellation);
        }
    }

    private static async Task DeclareOneAsync(
        IChannel channel,
        string queue,
        Dictionary<string, object?> arguments,
        CancellationToken cancellation
    )
    {
        await channel.ExchangeDeclareAsync(queue, ExchangeType.Fanout, durable: true, cancellationToken: cancellation);
        await channel.QueueDeclareAsync(
            queue,
            durable: true,
            exclusive: false,
            autoDelete: false,
            arguments,
            cancellationToken: cancellation
        );
        await channel.QueueBindAsync(queue, queue, routingKey: "", cancellationToken: cancellation);
    }
}
