using MassTransit;
using Pipeline.Wire;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

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
    /// <summary>
    /// Bytes of bodies that a queue may hold: 1 GiB, about a million commands. The broker refuses what is published
    /// beyond, so that a stopped or slow consumer does not fill the disk. A policy on the broker may set less.
    /// </summary>
    public const long SizeLimitBytes = 1L << 30;

    // A message whose worker dies this often is no bad luck; the broker moves it to the dead letters.
    private const int WorkQueueDeliveryLimit = 20;

    // A person who looks into the dead letters takes them out and puts them back, which counts as a delivery. From
    // RabbitMQ 4.0 on a queue without a limit of its own has one of 20, past which a message without a dead-letter
    // exchange is dropped. This one is never reached.
    private const int DeadLetterDeliveryLimit = 1_000_000_000;

    private static readonly Dictionary<string, object?> DeadLetterArguments = new(StringComparer.Ordinal)
    {
        ["x-queue-type"] = "quorum",
        ["x-delivery-limit"] = DeadLetterDeliveryLimit,
    };

    /// <summary>Arguments of a quorum queue whose undeliverable messages go to its <c>_error</c> queue.</summary>
    /// <remarks>
    /// At-least-once: the queue keeps a message until its <c>_error</c> queue has confirmed it. The broker demands
    /// <c>reject-publish</c> for that, and would silently lose dead letters with any other overflow.
    /// </remarks>
    /// <param name="queue">Its name.</param>
    /// <param name="deliveryLimit">Deliveries without an answer.</param>
    public static Dictionary<string, object?> Arguments(string queue, int deliveryLimit = WorkQueueDeliveryLimit) =>
        new(StringComparer.Ordinal)
        {
            ["x-queue-type"] = "quorum",
            ["x-delivery-limit"] = deliveryLimit,
            ["x-dead-letter-exchange"] = WireNames.ErrorQueue(queue),
            ["x-dead-letter-strategy"] = "at-least-once",
            ["x-overflow"] = "reject-publish",
            ["x-max-length-bytes"] = SizeLimitBytes,
        };

    /// <summary>A queue with its dead-letter queues, each with its arguments, in the order of declaration.</summary>
    public static IEnumerable<DeclaredQueue> WithDeadLetters(string queue, Dictionary<string, object?> arguments) =>
        WireNames
            .DeadLetterQueues(queue)
            .Select(x => new DeclaredQueue(x, DeadLetterArguments))
            .Append(new DeclaredQueue(queue, arguments));

    /// <summary>A work queue with its dead-letter queues, which an upgrade declares anew without regard to others.</summary>
    public static QueueGroup GroupOf(WorkQueue queue) =>
        new([queue.Name], [.. WithDeadLetters(queue.Name, Arguments(queue.Name))]);

    /// <summary>What a dead-letter queue must not inherit from its queue.</summary>
    /// <remarks>A single active consumer forbids <c>basic.get</c> (405), and dead letters have no dead letters.</remarks>
    public static void ConfigureDeadLetters(IRabbitMqQueueConfigurator queue)
    {
        foreach (var argument in Arguments("").Keys.Append("x-single-active-consumer"))
            queue.SetQueueArgument(argument, DeadLetterArguments.GetValueOrDefault(argument));
    }

    /// <summary>
    /// Declares a queue with its dead-letter queues, so that they are there before the first message needs them.
    /// </summary>
    /// <exception cref="QueueOutdatedException">An earlier version has declared one of them otherwise.</exception>
    public static async Task DeclareAsync(
        IChannel channel,
        string queue,
        Dictionary<string, object?> arguments,
        CancellationToken cancellation
    )
    {
        foreach (var one in WithDeadLetters(queue, arguments))
            await DeclareOneAsync(channel, one, cancellation);
        if (queue == DeadLetterCopy.Queue)
            return; // Its own dead letters stay where they are: a copy would come back to it.
        await DeclareFanoutAsync(channel, DeadLetterCopy.Queue, cancellation);
        await channel.ExchangeBindAsync(
            DeadLetterCopy.Queue,
            WireNames.ErrorQueue(queue),
            routingKey: "",
            cancellationToken: cancellation
        );
    }

    /// <summary>Declares a slice's queue and binds what it listens to.</summary>
    public static async Task DeclareAsync(IChannel channel, WorkQueue queue, CancellationToken cancellation)
    {
        await DeclareAsync(channel, queue.Name, Arguments(queue.Name), cancellation);
        foreach (var exchange in queue.Exchanges)
        {
            await DeclareFanoutAsync(channel, exchange, cancellation);
            await channel.ExchangeBindAsync(queue.Name, exchange, routingKey: "", cancellationToken: cancellation);
        }
    }

    private static Task DeclareFanoutAsync(IChannel channel, string exchange, CancellationToken cancellation) =>
        channel.ExchangeDeclareAsync(exchange, ExchangeType.Fanout, durable: true, cancellationToken: cancellation);

    private static async Task DeclareOneAsync(IChannel channel, DeclaredQueue queue, CancellationToken cancellation)
    {
        var name = queue.Name;
        await DeclareFanoutAsync(channel, name, cancellation);
        try
        {
            await queue.DeclareAsync(channel, cancellation);
        }
        catch (OperationInterruptedException e) when (e.ShutdownReason?.ReplyCode == Constants.PreconditionFailed)
        {
            throw new QueueOutdatedException(name);
        }

        await channel.QueueBindAsync(name, name, routingKey: "", cancellationToken: cancellation);
    }
}

/// <summary>A queue as this version declares it: durable, shared, and with these arguments.</summary>
internal sealed record DeclaredQueue(string Name, IDictionary<string, object?> Arguments)
{
    /// <summary>Makes the queue; one that is there with the same arguments stays as it is.</summary>
    public Task<QueueDeclareOk> DeclareAsync(IChannel channel, CancellationToken cancellation) =>
        channel.QueueDeclareAsync(
            Name,
            durable: true,
            exclusive: false,
            autoDelete: false,
            Arguments,
            cancellationToken: cancellation
        );
}

/// <summary>A queue has other arguments than this version declares, which only declaring it anew can change.</summary>
internal sealed class QueueOutdatedException(string queue)
    : InvalidOperationException(
        $"Queue '{queue}' was declared by another version, with other arguments. Stop all workers and run 'migrate' (docs/operations.md, 'Upgrade')."
    );
