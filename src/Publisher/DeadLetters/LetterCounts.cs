using Pipeline.Publisher.Status;
using Pipeline.Wire;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>How many dead letters a queue holds.</summary>
internal sealed record LetterCount(string Queue, uint Messages);

/// <summary>Counts dead letters without touching them, so it may be asked often.</summary>
internal sealed class LetterCounts(Uri broker, StatusDatabase database)
{
    /// <returns>The dead-letter queues that are not empty, parking queues included.</returns>
    /// <exception cref="PublishFailedException">The broker does not answer, or lacks a queue that the workers declared.</exception>
    public async Task<List<LetterCount>> ReadAsync(CancellationToken cancellation)
    {
        var queues = await QueueNames.ListAsync(database, only: null, withParked: true, cancellation);
        var factory = new ConnectionFactory
        {
            Uri = broker,
            ClientProvidedName = "publisher dead-letters counts",
            AutomaticRecoveryEnabled = false,
        };
        try
        {
            await using var connection = await factory.CreateConnectionAsync(cancellation);
            await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
            var counts = new List<LetterCount>();
            foreach (var queue in queues)
            {
                if (await channel.MessageCountAsync(queue, cancellation) is > 0 and var messages)
                    counts.Add(new LetterCount(queue, messages));
            }

            return counts;
        }
        catch (Exception e) when (e is RabbitMQClientException or IOException or TimeoutException)
        {
            throw new PublishFailedException($"The dead letters cannot be counted: {e.Message}", e);
        }
    }
}
