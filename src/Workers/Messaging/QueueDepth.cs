using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Workers.Messaging;

/// <summary>Asks the broker how much waits in a queue. For rare questions: each one has a connection of its own.</summary>
internal sealed class QueueDepth(MessagingOptions options)
{
    /// <returns>Messages that no consumer has yet, 0 where there is no such queue; null while the broker does not answer.</returns>
    public async Task<uint?> ReadyAsync(string queue, CancellationToken cancellation)
    {
        var factory = new ConnectionFactory
        {
            Uri = options.Broker,
            ClientProvidedName = "pipeline-workers queue depth",
        };
        try
        {
            await using var connection = await factory.CreateConnectionAsync(cancellation);
            await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
            return (await channel.QueueDeclarePassiveAsync(queue, cancellation)).MessageCount;
        }
        catch (OperationInterruptedException e) when (e.ShutdownReason?.ReplyCode == Constants.NotFound)
        {
            return 0;
        }
        catch (Exception e) when (e is BrokerUnreachableException or OperationInterruptedException)
        {
            return null;
        }
    }
}
