using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Workers.Messaging;

/// <summary>How many consumers queues have, of all processes, as the broker counts them.</summary>
internal interface IConsumerCounts : IAsyncDisposable
{
    /// <returns>
    /// Null while the broker does not answer. A queue that does not answer, such as one without its majority, is left
    /// out; one that does not exist has none.
    /// </returns>
    Task<IReadOnlyDictionary<string, uint>?> ReadAsync(
        IReadOnlyCollection<string> queues,
        CancellationToken cancellation
    );
}

/// <summary>Asks over a connection of its own, which it keeps: the others may be what is wrong.</summary>
internal sealed class ConsumerCounts(MessagingOptions options) : IConsumerCounts
{
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan CloseLimit = TimeSpan.FromSeconds(2);

    private IConnection? _connection;

    public async Task<IReadOnlyDictionary<string, uint>?> ReadAsync(
        IReadOnlyCollection<string> queues,
        CancellationToken cancellation
    )
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(AnswerLimit);
        var isKept = _connection is not null;
        try
        {
            return await CountAsync(queues, limit.Token).WaitAsync(limit.Token);
        }
        catch (Exception e) when (IsLoss(e) && !cancellation.IsCancellationRequested)
        {
            await CloseAsync();
            // A connection that was lost since the last time says nothing about the broker now.
            return isKept ? await ReadAsync(queues, cancellation) : null;
        }
    }

    public async ValueTask DisposeAsync() => await CloseAsync();

    private async Task<IReadOnlyDictionary<string, uint>> CountAsync(
        IReadOnlyCollection<string> queues,
        CancellationToken cancellation
    )
    {
        var connection = _connection ??= await ConnectAsync(cancellation);
        var counts = new Dictionary<string, uint>(StringComparer.Ordinal);
        IChannel? channel = null;
        foreach (var queue in queues)
        {
            // With an answer 404 the broker closes the channel.
            if (channel is not { IsOpen: true })
                channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
            try
            {
                counts[queue] = (await channel.QueueDeclarePassiveAsync(queue, cancellation)).ConsumerCount;
            }
            catch (OperationInterruptedException e) when (QueueState.IsAbsent(e))
            {
                counts[queue] = 0;
            }
            catch (OperationInterruptedException) when (connection.IsOpen)
            {
                // The queue has no answer; the broker has.
            }
        }

        if (channel is not null)
            await channel.DisposeAsync();
        return counts;
    }

    private async Task<IConnection> ConnectAsync(CancellationToken cancellation)
    {
        var factory = new ConnectionFactory
        {
            Uri = options.Broker,
            ClientProvidedName = "pipeline-workers guard",
            AutomaticRecoveryEnabled = false,
        };
        var connection = await factory.CreateConnectionAsync(cancellation);
        if (!cancellation.IsCancellationRequested)
            return connection;
        await EndAsync(connection); // Its caller has given up.
        throw new OperationCanceledException(cancellation);
    }

    private async Task CloseAsync()
    {
        var connection = _connection;
        _connection = null;
        if (connection is not null)
            await EndAsync(connection);
    }

    private static async Task EndAsync(IConnection connection)
    {
        try
        {
            await connection.AbortAsync().WaitAsync(CloseLimit);
            await connection.DisposeAsync().AsTask().WaitAsync(CloseLimit);
        }
        catch (Exception e) when (IsLoss(e))
        {
            // Nobody uses it any more, and the broker misses its heartbeats.
        }
    }

    private static bool IsLoss(Exception error) =>
        error
            is RabbitMQClientException
                or IOException
                or TimeoutException
                or ObjectDisposedException
                or OperationCanceledException;
}
