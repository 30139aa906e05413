using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Publisher.Serving;

/// <summary>Asks the broker whether commands would be taken, over a connection of its own that it keeps.</summary>
internal sealed class BrokerProbe(Uri broker) : IAsyncDisposable
{
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _one = new(1, 1);
    private IConnection? _connection;

    /// <summary>Ends when the broker has the lanes' exchange.</summary>
    /// <exception cref="PublishFailedException">It does not answer, refuses, or has no such exchange.</exception>
    public async Task CheckAsync(CancellationToken cancellation)
    {
        await _one.WaitAsync(cancellation);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(AnswerLimit);
        try
        {
            if (_connection is not { IsOpen: true })
            {
                var lost = _connection;
                _connection = null;
                if (lost is not null)
                    await lost.DisposeAsync();
                var factory = new ConnectionFactory
                {
                    Uri = broker,
                    ClientProvidedName = "publisher health",
                    AutomaticRecoveryEnabled = false,
                };
                _connection = await factory.CreateConnectionAsync(limit.Token);
            }

            await using var channel = await _connection.CreateChannelAsync(cancellationToken: limit.Token);
            await channel.ExchangeDeclarePassiveAsync(WireNames.LanesExchange, limit.Token);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            throw new PublishFailedException(e.Message, e);
        }
        finally
        {
            _one.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
        _one.Dispose();
    }
}
