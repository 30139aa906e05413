using System.Threading.Channels;
using Pipeline.Workers.Messaging;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace Pipeline.Workers.Lanes;

/// <summary>A link on RabbitMQ.Client.</summary>
/// <remarks>
/// The client tells the channels of a connection one after the other that it has ended, and waits for each channel's
/// consumer (Connection.cs <c>OnShutdownAsync</c>, Channel.cs <c>OnChannelShutdownAsync</c>; read in 7.2.2). So a link
/// has a connection of its own, and no callback here waits for anything.
/// </remarks>
internal sealed class LaneLink : ILaneLink, IAsyncBasicConsumer
{
    private readonly Channel<Delivery> _deliveries = System.Threading.Channels.Channel.CreateUnbounded<Delivery>(
        new UnboundedChannelOptions { SingleReader = true, SingleWriter = true }
    );

    private readonly CancellationTokenSource _lost = new();
    private readonly IConnection _connection;
    private readonly IChannel _channel;
    private readonly LaneOptions _options;
    private readonly string _queue;

    // Locked by whoever uses it: the client adds, the lane removes.
    private readonly Queue<(ulong Tag, int Bytes)> _held = new();
    private LinkLoss? _loss;
    private ulong _lastTag;
    private long _bytesHeld;

    private LaneLink(IConnection connection, IChannel channel, string queue, LaneOptions options)
    {
        _queue = queue;
        _connection = connection;
        _channel = channel;
        _options = options;
        // The connection's own event comes before its channels are told.
        connection.ConnectionShutdownAsync += (_, reason) => Lose(new LinkLoss(Describe(reason)));
    }

    public ChannelReader<Delivery> Deliveries => _deliveries.Reader;

    public CancellationToken Lost => _lost.Token;

    public LinkLoss? Loss => _loss;

    public IChannel? Channel => _channel;

    /// <inheritdoc cref="ILaneLinks.OpenAsync"/>
    public static async Task<LaneLink> OpenAsync(
        IConnection connection,
        string queue,
        ushort prefetch,
        LaneOptions options,
        CancellationToken cancellation
    )
    {
        var channel = await connection.CreateChannelAsync(
            new CreateChannelOptions(
                publisherConfirmationsEnabled: false,
                publisherConfirmationTrackingEnabled: false,
                consumerDispatchConcurrency: 1
            ),
            cancellation
        );
        var link = new LaneLink(connection, channel, queue, options);
        await channel.BasicQosAsync(prefetchSize: 0, prefetch, global: false, cancellation);
        await channel.BasicConsumeAsync(queue, autoAck: false, link, cancellation);
        return link;
    }

    public async Task AcknowledgeAsync(ulong upTo, CancellationToken cancellation)
    {
        lock (_held)
        {
            while (_held.TryPeek(out var first) && first.Tag <= upTo)
                _bytesHeld -= _held.Dequeue().Bytes;
        }

        await _channel.BasicAckAsync(upTo, multiple: true, cancellation);
    }

    public async Task<bool> CloseAsync()
    {
        // A connection that the broker has closed, or that closes now, has no consumer any more: the broker ends its
        // channels before it answers (rabbit_reader.erl, maybe_close).
        if (_connection.CloseReason is { Initiator: ShutdownInitiator.Peer })
            return true;
        try
        {
            await _connection.CloseAsync().WaitAsync(_options.CloseLimit);
            return true;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return false; // The caller lets the lease run out, and disposing ends the socket.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Lose(new LinkLoss("closed here"));
        await EndAsync(_connection, _options.CloseLimit);
    }

    /// <summary>
    /// Ends a connection with its socket. A client that does not return within the limit is left to itself.
    /// </summary>
    public static async Task EndAsync(IConnection connection, TimeSpan limit)
    {
        try
        {
            await connection.AbortAsync().WaitAsync(limit);
            await connection.DisposeAsync().AsTask().WaitAsync(limit);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Nobody uses it any more, and the broker misses its heartbeats.
        }
    }

    public Task HandleBasicDeliverAsync(
        string consumerTag,
        ulong deliveryTag,
        bool redelivered,
        string exchange,
        string routingKey,
        IReadOnlyBasicProperties properties,
        ReadOnlyMemory<byte> body,
        CancellationToken cancellationToken = default
    )
    {
        if (_lost.IsCancellationRequested)
            return Task.CompletedTask;
        if (deliveryTag != _lastTag + 1)
            return Lose(new LinkLoss($"delivery {deliveryTag} follows {_lastTag}: the ones between are missing"));

        _lastTag = deliveryTag;
        lock (_held)
        {
            _held.Enqueue((deliveryTag, body.Length));
            _bytesHeld += body.Length;
            // A single message above the limit is taken all the same, or the lane could never move past it.
            if (_bytesHeld > _options.BufferLimitBytes && _held.Count > 1)
                return Lose(new LinkLoss($"{_held.Count} deliveries have {_bytesHeld} bytes", IsTooMuchData: true));
        }

        // The client reuses the memory of the body after this call.
        _deliveries.Writer.TryWrite(
            new Delivery(_queue, deliveryTag, exchange, routingKey, properties, body.ToArray())
        );
        return Task.CompletedTask;
    }

    /// <summary>The broker has ended the consumer, for instance because the queue was deleted.</summary>
    public Task HandleBasicCancelAsync(string consumerTag, CancellationToken cancellationToken = default) =>
        Lose(new LinkLoss("the broker has cancelled the consumer: the queue was deleted or moved"));

    public Task HandleBasicCancelOkAsync(string consumerTag, CancellationToken cancellationToken = default) =>
        Task.CompletedTask; // A link never cancels.

    public Task HandleBasicConsumeOkAsync(string consumerTag, CancellationToken cancellationToken = default) =>
        Task.CompletedTask;

    public Task HandleChannelShutdownAsync(object channel, ShutdownEventArgs reason) =>
        Lose(new LinkLoss(Describe(reason)));

    /// <summary>
    /// Marks the link as lost; the first reason counts. Runs in the client's callbacks and so never waits.
    /// </summary>
    private Task Lose(LinkLoss loss)
    {
        if (Interlocked.CompareExchange(ref _loss, loss, comparand: null) is not null)
            return Task.CompletedTask;
        // The callbacks of the token run on another thread; the token itself is cancelled when this returns.
        _ = _lost.CancelAsync();
        _deliveries.Writer.TryComplete(new LinkLostException(loss));
        return Task.CompletedTask;
    }

    private static string Describe(ShutdownEventArgs reason) => $"{reason.ReplyCode} {reason.ReplyText}";
}
