using System.Collections.Concurrent;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Wire;

/// <summary>One channel with confirms on: sequence numbers start at 1 and count each publish.</summary>
/// <remarks>
/// RabbitMQ.Client can wait for itself: a publish that waits for room in the socket's queue holds the lock that the end
/// of its connection waits for, and only that end empties the queue. Read in 7.2.2: Channel.PublisherConfirms.cs and
/// SocketFrameHandler.cs still do so; issues 1930 and 1960 are fixed on its main branch only. So each publish carries a
/// token that the loss of the channel cancels, and nothing of the client is waited for without a limit.
/// </remarks>
internal sealed class ConfirmChannel : IAsyncDisposable
{
    private const string Closed = "closed";

    // A connection that is gone is not worth more: what is left of it is for the garbage collector.
    private static readonly TimeSpan GoodbyeLimit = TimeSpan.FromSeconds(5);

    // How often the confirms are checked: a time-out is noticed up to so much later.
    private static readonly TimeSpan CheckEvery = TimeSpan.FromSeconds(1);

    private readonly IConnection _connection;
    private readonly IChannel _channel;
    private readonly string _login;
    private readonly TimeProvider _clock;
    private readonly ITimer _overdue;
    private readonly ConcurrentDictionary<ulong, Pending> _pending = new();
    private readonly CancellationTokenSource _lost = new();
    private ulong _next = 1;
    private ulong _settled;

    private ConfirmChannel(IConnection connection, IChannel channel, string login, TimeProvider clock)
    {
        _connection = connection;
        _channel = channel;
        _login = login;
        _clock = clock;
        channel.BasicAcksAsync += (_, ack) => Settle(ack.DeliveryTag, ack.Multiple, refused: false);
        channel.BasicNacksAsync += (_, nack) => Settle(nack.DeliveryTag, nack.Multiple, refused: true);
        channel.BasicReturnAsync += (_, returned) => Return(returned);
        channel.ChannelShutdownAsync += (_, reason) => LoseAsync(reason.ReplyText, reason);
        _overdue = clock.CreateTimer(_ => LoseIfOverdue(), state: null, CheckEvery, CheckEvery);
    }

    public bool IsOpen => _channel.IsOpen && !_lost.IsCancellationRequested;

    public static async Task<ConfirmChannel> OpenAsync(
        Uri broker,
        string clientName,
        TimeProvider clock,
        CancellationToken cancellation
    )
    {
        var factory = new ConnectionFactory
        {
            Uri = broker,
            ClientProvidedName = clientName,
            AutomaticRecoveryEnabled = false, // A recovered channel would start its sequence anew behind our back.
        };
        var connecting = factory.CreateConnectionAsync(cancellation);
        var connection = await WithinAsync(connecting, cancellation);
        try
        {
            var opening = connection.CreateChannelAsync(
                new CreateChannelOptions(
                    publisherConfirmationsEnabled: true,
                    publisherConfirmationTrackingEnabled: false
                ),
                cancellation
            );
            return new ConfirmChannel(
                connection,
                await opening.WaitAsync(ConfirmedPublisher.ConfirmTimeout, cancellation),
                factory.UserName,
                clock
            );
        }
        catch
        {
            await GoodbyeAsync(connection);
            throw;
        }
    }

    public async Task<Task> WriteAsync(WireMessage message, CancellationToken cancellation)
    {
        var pending = new Pending(message, _clock.GetTimestamp());
        var sequence = _next++;
        _pending[sequence] = pending;
        try
        {
            var write = _channel.BasicPublishAsync(
                message.Exchange,
                message.RoutingKey,
                message.Mandatory,
                message.ToAmqp(_login),
                message.Body,
                _lost.Token
            );
            if (write.IsCompletedSuccessfully)
                await write;
            else
                await write.AsTask().WaitAsync(ConfirmedPublisher.ConfirmTimeout, _clock, cancellation);
        }
        catch
        {
            _pending.TryRemove(sequence, out _);
            // Whether the broker counted this publish is unknown, so this channel's numbers are no longer ours.
            await LoseAsync(Closed);
            throw;
        }

        if (!IsOpen)
            await LoseAsync(_channel.CloseReason?.ReplyText ?? Closed, _channel.CloseReason);
        return pending.Confirmed.Task;
    }

    public async ValueTask DisposeAsync()
    {
        await _overdue.DisposeAsync();
        await LoseAsync(Closed);
        await GoodbyeAsync(_connection);
    }

    /// <summary>Ends a connection with all its channels, or leaves it to itself where that takes too long.</summary>
    private static async Task GoodbyeAsync(IConnection connection)
    {
        try
        {
            await connection.AbortAsync().WaitAsync(GoodbyeLimit);
            await connection.DisposeAsync().AsTask().WaitAsync(GoodbyeLimit);
        }
        catch (Exception e) when (e is TimeoutException or RabbitMQClientException or IOException)
        {
            // Nobody uses it any more, and the broker misses its heartbeats.
        }
    }

    /// <summary>Waits for a connection; one that comes too late is closed.</summary>
    private static async Task<IConnection> WithinAsync(Task<IConnection> connecting, CancellationToken cancellation)
    {
        try
        {
            return await connecting.WaitAsync(ConfirmedPublisher.ConfirmTimeout, cancellation);
        }
        catch when (!connecting.IsCompleted)
        {
            _ = EndLateAsync(connecting);
            throw;
        }
    }

    private static async Task EndLateAsync(Task<IConnection> connecting)
    {
        try
        {
            await GoodbyeAsync(await connecting);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // It failed in the end, and its caller has long been told so.
        }
    }

    private Task Settle(ulong tag, bool multiple, bool refused)
    {
        for (var sequence = multiple ? _settled + 1 : tag; sequence <= tag; sequence++)
        {
            if (!_pending.TryRemove(sequence, out var pending))
                continue;
            if (pending.Returned is { } why)
                pending.Confirmed.TrySetException(new UnroutableMessageException(pending.Message, why));
            else if (refused)
                pending.Confirmed.TrySetException(new QueueFullException(pending.Message));
            else
                pending.Confirmed.TrySetResult();
        }

        if (multiple)
            _settled = tag;
        return Task.CompletedTask;
    }

    // The broker sends basic.return before the ack of the same message, and names it by its properties only.
    private Task Return(BasicReturnEventArgs returned)
    {
        foreach (var pending in _pending.Values)
        {
            if (pending.MessageId == returned.BasicProperties.MessageId)
                pending.Returned = returned.ReplyText;
        }

        return Task.CompletedTask;
    }

    /// <summary>
    /// Ends the channel when the broker has not confirmed a message in time: what was written behind that message must
    /// not be taken for confirmed while it is missing.
    /// </summary>
    private void LoseIfOverdue()
    {
        if (_pending.Values.Any(x => _clock.GetElapsedTime(x.WrittenAt) >= ConfirmedPublisher.ConfirmTimeout))
            _ = LoseAsync($"the broker did not confirm within {ConfirmedPublisher.ConfirmTimeout}");
    }

    private async Task LoseAsync(string why, ShutdownEventArgs? reason = null)
    {
        await _lost.CancelAsync();
        foreach (var sequence in _pending.Keys)
        {
            if (_pending.TryRemove(sequence, out var pending))
            {
                pending.Confirmed.TrySetException(
                    new PublishFailedException(
                        $"The channel was lost before {pending.MessageId} was confirmed: {why}.",
                        reason is null ? null : new OperationInterruptedException(reason)
                    )
                );
            }
        }
    }

    /// <param name="message">As the caller gave it.</param>
    /// <param name="writtenAt">The clock's timestamp.</param>
    private sealed class Pending(WireMessage message, long writtenAt)
    {
        public WireMessage Message { get; } = message;

        /// <summary>As it stands in the properties; null for a message that was received without one.</summary>
        public string? MessageId { get; } =
            message.Properties is { } given ? given.MessageId : message.MessageId.ToString("D");

        public long WrittenAt { get; } = writtenAt;

        public string? Returned { get; set; }

        public TaskCompletionSource Confirmed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
