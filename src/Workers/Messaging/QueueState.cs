using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Workers.Messaging;

/// <summary>What the broker counts in a queue.</summary>
/// <param name="Messages">That wait for a consumer.</param>
/// <param name="Consumers">Of all processes.</param>
internal sealed record QueueState(uint Messages, uint Consumers)
{
    /// <returns>Null where there is no such queue.</returns>
    public static async Task<QueueState?> ReadAsync(
        IConnection connection,
        string queue,
        CancellationToken cancellation
    )
    {
        // A channel of its own: the broker closes the one that asks for a queue which is not there.
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
        try
        {
            var counts = await channel.QueueDeclarePassiveAsync(queue, cancellation);
            return new QueueState(counts.MessageCount, counts.ConsumerCount);
        }
        catch (OperationInterruptedException e) when (IsAbsent(e))
        {
            return null;
        }
    }

    /// <summary>True where there is no such queue; false where it exists and does not answer, which is also a 404.</summary>
    public static bool IsAbsent(OperationInterruptedException error) =>
        error.ShutdownReason is { ReplyCode: Constants.NotFound, ReplyText: var text }
        && text.Contains("no queue", StringComparison.Ordinal);
}
