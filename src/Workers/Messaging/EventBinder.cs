using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Workers.Messaging;

/// <summary>An event's exchange and the projects whose events are meant: a project's id, or <c>#</c> for all.</summary>
internal sealed record EventBinding(string Event, string RoutingKey);

/// <summary>Binds a queue to events while the pipeline runs.</summary>
internal sealed class EventBinder(MessagingOptions options)
{
    /// <summary>Adds some bindings and takes others away; what is so already stays.</summary>
    /// <exception cref="BrokerAwayException">Some of it may be done. Worth a retry.</exception>
    public async Task BindAsync(
        string queue,
        IReadOnlyCollection<EventBinding> wanted,
        IReadOnlyCollection<EventBinding> unwanted,
        CancellationToken cancellation
    )
    {
        try
        {
            var factory = new ConnectionFactory
            {
                Uri = options.Broker,
                ClientProvidedName = "pipeline-workers bindings",
            };
            await using var connection = await factory.CreateConnectionAsync(cancellation);
            await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
            await EventTopology.DeclareAsync(channel, EventTopology.Events, cancellation);
            foreach (var (name, key) in wanted)
                await channel.QueueBindAsync(queue, name, key, cancellationToken: cancellation);
            foreach (var (name, key) in unwanted)
                await channel.QueueUnbindAsync(queue, name, key, cancellationToken: cancellation);
        }
        // A lost connection cancels what is on its way.
        catch (Exception e)
            when (e is RabbitMQClientException or IOException or TimeoutException
                || (e is OperationCanceledException && !cancellation.IsCancellationRequested)
            )
        {
            throw new BrokerAwayException($"Queue '{queue}' could not be bound: {e.GetBaseException().Message}", e);
        }
    }
}

/// <summary>The broker did not take it, and may do so later. Worth a retry.</summary>
internal sealed class BrokerAwayException(string message, Exception inner) : Exception(message, inner);
