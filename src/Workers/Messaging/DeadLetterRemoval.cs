using System.Threading.Channels;
using Pipeline.Wire;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Workers.Messaging;

/// <summary>Takes some of the dead letters out of their queues for good; the others stay in their order.</summary>
/// <remarks>
/// As the publisher's <c>DeskPass</c> does it, and under the same lock: on a quorum queue, what one consumer holds goes
/// back in its order when its channel ends. Messages that are fetched with <c>basic.get</c>, or published anew, do not.
/// </remarks>
internal sealed class DeadLetterRemoval(MessagingOptions options, TimeProvider clock)
{
    // AMQP's prefetch has 16 bits.
    private const ushort Width = ushort.MaxValue;

    private static readonly TimeSpan NextLimit = TimeSpan.FromSeconds(2);

    /// <summary>Looks through the dead letters of queues, one queue after the other.</summary>
    /// <param name="queues">Queues of the pipeline.</param>
    /// <param name="isUnwanted">Whether a message is to be removed.</param>
    /// <param name="counted">Called with the queue and how many messages there are, before they are removed.</param>
    /// <param name="cancellation">Nothing is lost when it comes.</param>
    /// <returns>How many were removed.</returns>
    /// <exception cref="DeadLettersBusyException">Somebody else has them, or there are more than can be held.</exception>
    public async Task<int> RemoveAsync(
        IEnumerable<string> queues,
        Func<Delivery, bool> isUnwanted,
        Func<string, int, Task> counted,
        CancellationToken cancellation
    )
    {
        var factory = new ConnectionFactory
        {
            Uri = options.Broker,
            ClientProvidedName = "pipeline-workers erasure",
            AutomaticRecoveryEnabled = false, // A recovered consumer would begin anew.
        };
        await using var connection = await factory.CreateConnectionAsync(cancellation);
        var removed = 0;
        foreach (var deadLetters in queues.SelectMany(WireNames.DeadLetterQueues))
        {
            if (await QueueState.ReadAsync(connection, deadLetters, cancellation) is not { Messages: > 0 })
                continue;
            removed += await RemoveFromAsync(connection, deadLetters, isUnwanted, counted, cancellation);
        }

        return removed;
    }

    private async Task<int> RemoveFromAsync(
        IConnection connection,
        string queue,
        Func<Delivery, bool> isUnwanted,
        Func<string, int, Task> counted,
        CancellationToken cancellation
    )
    {
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
        await LockAsync(channel, queue, cancellation);
        var ready = await channel.MessageCountAsync(queue, cancellation);
        if (ready > Width)
            throw new DeadLettersBusyException($"{queue} has more than {Width} messages; discard or replay some.");

        var tags = await FindAsync(channel, queue, ready, isUnwanted, cancellation);
        if (tags.Count > 0)
        {
            await counted(queue, tags.Count);
            foreach (var tag in tags)
                await channel.BasicAckAsync(tag, multiple: false, cancellation);
            // The broker answers in order, so with this answer it has seen the acknowledgements.
            await channel.MessageCountAsync(queue, cancellation);
        }

        return tags.Count;
    }

    private async Task<List<ulong>> FindAsync(
        IChannel channel,
        string queue,
        uint ready,
        Func<Delivery, bool> isUnwanted,
        CancellationToken cancellation
    )
    {
        var seen = Channel.CreateUnbounded<(ulong Tag, bool IsUnwanted)>();
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, x) =>
        {
            // The body's memory is the client's, and is looked at before this handler ends.
            var delivery = new Delivery(queue, x.DeliveryTag, x.Exchange, x.RoutingKey, x.BasicProperties, x.Body);
            seen.Writer.TryWrite((x.DeliveryTag, isUnwanted(delivery)));
            return Task.CompletedTask;
        };
        channel.ChannelShutdownAsync += (_, reason) =>
        {
            seen.Writer.TryComplete(new OperationInterruptedException(reason));
            return Task.CompletedTask;
        };
        await channel.BasicQosAsync(0, Width, global: false, cancellation);
        await channel.BasicConsumeAsync(queue, autoAck: false, consumer, cancellation);
        var tags = new List<ulong>();
        for (var i = 0; i < ready; i++)
        {
            using var limit = new CancellationTokenSource(NextLimit, clock);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
            try
            {
                var (tag, isFound) = await seen.Reader.ReadAsync(either.Token);
                if (isFound)
                    tags.Add(tag);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                // Nothing comes: either the broker is slow, or something else has emptied the queue.
                if (await channel.MessageCountAsync(queue, cancellation) > 0)
                    throw new DeadLettersBusyException($"{queue} does not give its messages out.");
                break;
            }
        }

        return tags;
    }

    private static async Task LockAsync(IChannel channel, string queue, CancellationToken cancellation)
    {
        try
        {
            await channel.QueueDeclareAsync(
                WireNames.DeadLetterLock(queue),
                durable: false,
                exclusive: true,
                autoDelete: true,
                cancellationToken: cancellation
            );
        }
        catch (OperationInterruptedException e) when (e.ShutdownReason?.ReplyCode == Constants.ResourceLocked)
        {
            throw new DeadLettersBusyException($"Somebody has the dead letters in {queue} in hand.");
        }
    }
}

/// <summary>The dead letters of a queue cannot be looked through now. Worth a retry.</summary>
internal sealed class DeadLettersBusyException(string message) : Exception(message);
