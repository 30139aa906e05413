using System.Collections.Concurrent;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Wire;

/// <summary>
/// Publishes in the order of its calls, with many messages on their way at once, and reports each one only when the
/// broker has confirmed it.
/// </summary>
/// <remarks>
/// RabbitMQ.Client 7.1.2's own confirm tracking reorders unawaited publishes and is slow (275/s measured), so this
/// class counts the sequence numbers itself. Safe for concurrent callers; the order is then that of entering
/// <see cref="SendAsync"/>. After an error the next call opens a new connection: messages that were on their way may
/// or may not have arrived, and are sent again under the same id.
/// </remarks>
public sealed class ConfirmedPublisher(Uri broker, string clientName, int window = ConfirmedPublisher.DefaultWindow)
    : IAsyncDisposable
{
    /// <summary>Unconfirmed messages at once. More gains nothing on a loopback broker and costs memory.</summary>
    public const int DefaultWindow = 1024;

    /// <summary>How long the broker may take to confirm. A quorum queue without its majority does not confirm.</summary>
    public static readonly TimeSpan ConfirmTimeout = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _order = new(1, 1);
    private readonly SemaphoreSlim _window = new(window, window);
    private Session? _session;

    /// <summary>Writes one message and returns once the broker has confirmed it.</summary>
    /// <inheritdoc cref="SendAsync" path="/exception"/>
    public async Task PublishAsync(WireMessage message, CancellationToken cancellation) =>
        await await SendAsync(message, cancellation);

    /// <summary>Writes all messages in order and returns once the broker has confirmed every one.</summary>
    /// <remarks>After an error send them all again, from the first: their order holds, and their ids make it harmless.</remarks>
    /// <inheritdoc cref="SendAsync" path="/exception"/>
    public async Task PublishAllAsync(IEnumerable<WireMessage> messages, CancellationToken cancellation) =>
        await Task.WhenAll(await SendAllAsync(messages, cancellation));

    /// <summary>Writes messages in order, on one channel: when it is lost, nothing more of the run is written.</summary>
    /// <remarks>
    /// A run that went on over a new channel would bring its later messages to the queue before the lost ones are sent
    /// again, and so out of order.
    /// </remarks>
    /// <returns>A task for each message, in order; it ends when the broker has confirmed it.</returns>
    /// <exception cref="OperationCanceledException">Some may have been written.</exception>
    public async Task<IReadOnlyList<Task>> SendAllAsync(
        IEnumerable<WireMessage> messages,
        CancellationToken cancellation
    )
    {
        var confirms = new List<Task>();
        Session? session = null;
        PublishFailedException? lost = null;
        foreach (var message in messages)
        {
            try
            {
                if (lost is null)
                {
                    (session, var confirm) = await SendOnAsync(message, session, cancellation);
                    confirms.Add(confirm);
                }
            }
            catch (PublishFailedException e)
            {
                lost = e;
            }

            if (lost is not null)
                confirms.Add(Task.FromException(lost));
        }

        return confirms;
    }

    /// <summary>Writes one message behind those sent before. The inner task ends when the broker has confirmed it.</summary>
    /// <exception cref="UnroutableMessageException">Mandatory, and no queue is bound for it. Nothing was queued.</exception>
    /// <exception cref="PublishFailedException">
    /// The broker refused it, did not confirm in time or was lost. Send it again under the same id: that is safe.
    /// </exception>
    public async Task<Task> SendAsync(WireMessage message, CancellationToken cancellation) =>
        (await SendOnAsync(message, required: null, cancellation)).Confirmed;

    private async Task<(Session Session, Task Confirmed)> SendOnAsync(
        WireMessage message,
        Session? required,
        CancellationToken cancellation
    )
    {
        // The place in the order is taken first: callers that wait for the window one by one could overtake each other
        // when several of its slots come free at once.
        await _order.WaitAsync(cancellation);
        try
        {
            await _window.WaitAsync(cancellation);
            var sent = false;
            try
            {
                if (required is { IsOpen: false })
                    throw new PublishFailedException($"The channel was lost before {message.MessageId} was sent.");

                var session = required ?? await OpenSessionAsync(cancellation);
                var confirm = await session.WriteAsync(message, cancellation);
                sent = true;
                return (session, LeaveWindow(confirm));
            }
            finally
            {
                if (!sent)
                    _window.Release();
            }
        }
        catch (Exception e)
            when (e is RabbitMQClientException or IOException or TimeoutException or ObjectDisposedException)
        {
            throw new PublishFailedException($"'{message.Exchange}' did not take {message.MessageId}: {e.Message}", e);
        }
        finally
        {
            _order.Release();
        }
    }

    /// <summary>Closes the connection. Messages still on their way fail.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_session is not null)
            await _session.DisposeAsync();
        _order.Dispose();
        _window.Dispose();
    }

    private async Task<Session> OpenSessionAsync(CancellationToken cancellation)
    {
        if (_session is { IsOpen: true })
            return _session;

        // Forgotten first: where the broker is down, the next call must not dispose the same session again.
        var lost = _session;
        _session = null;
        if (lost is not null)
            await lost.DisposeAsync();
        _session = await Session.OpenAsync(broker, clientName, cancellation);
        return _session;
    }

    private async Task LeaveWindow(Task confirm)
    {
        try
        {
            await confirm.WaitAsync(ConfirmTimeout);
        }
        catch (TimeoutException e)
        {
            throw new PublishFailedException($"The broker did not confirm within {ConfirmTimeout}.", e);
        }
        finally
        {
            _window.Release();
        }
    }

    /// <summary>One channel with confirms on: sequence numbers start at 1 and count each publish.</summary>
    private sealed class Session : IAsyncDisposable
    {
        private readonly IConnection _connection;
        private readonly IChannel _channel;
        private readonly ConcurrentDictionary<ulong, Pending> _pending = new();
        private ulong _next = 1;
        private ulong _settled;

        private Session(IConnection connection, IChannel channel)
        {
            _connection = connection;
            _channel = channel;
            channel.BasicAcksAsync += (_, ack) => Settle(ack.DeliveryTag, ack.Multiple, refused: false);
            channel.BasicNacksAsync += (_, nack) => Settle(nack.DeliveryTag, nack.Multiple, refused: true);
            channel.BasicReturnAsync += (_, returned) => Return(returned);
            channel.ChannelShutdownAsync += (_, reason) => Lose(reason);
        }

        public bool IsOpen => _channel.IsOpen;

        public static async Task<Session> OpenAsync(Uri broker, string clientName, CancellationToken cancellation)
        {
            var factory = new ConnectionFactory
            {
                Uri = broker,
                ClientProvidedName = clientName,
                AutomaticRecoveryEnabled = false, // A recovered channel would start its sequence anew behind our back.
            };
            var connection = await factory.CreateConnectionAsync(cancellation);
            try
            {
                var channel = await connection.CreateChannelAsync(
                    new CreateChannelOptions(
                        publisherConfirmationsEnabled: true,
                        publisherConfirmationTrackingEnabled: false
                    ),
                    cancellation
                );
                return new Session(connection, channel);
            }
            catch
            {
                await connection.DisposeAsync();
                throw;
            }
        }

        public async Task<Task> WriteAsync(WireMessage message, CancellationToken cancellation)
        {
            var pending = new Pending(message);
            var sequence = _next++;
            _pending[sequence] = pending;
            try
            {
                var properties = new BasicProperties
                {
                    MessageId = pending.MessageId,
                    Type = message.Exchange,
                    ContentType = WireJson.ContentType,
                    DeliveryMode = DeliveryModes.Persistent,
                };
                await _channel.BasicPublishAsync(
                    message.Exchange,
                    message.RoutingKey,
                    message.Mandatory,
                    properties,
                    message.Body,
                    cancellation
                );
            }
            catch
            {
                _pending.TryRemove(sequence, out _);
                // Whether the broker counted this publish is unknown, so this channel's numbers are no longer ours.
                await _channel.AbortAsync(CancellationToken.None);
                throw;
            }

            if (!_channel.IsOpen)
                await Lose(_channel.CloseReason);
            return pending.Confirmed.Task;
        }

        public async ValueTask DisposeAsync()
        {
            await _connection.AbortAsync();
            await Lose(reason: null);
            await _channel.DisposeAsync();
            await _connection.DisposeAsync();
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
                    pending.Confirmed.TrySetException(
                        new PublishFailedException($"The broker refused {pending.MessageId}.")
                    );
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

        private Task Lose(ShutdownEventArgs? reason)
        {
            foreach (var sequence in _pending.Keys)
            {
                if (_pending.TryRemove(sequence, out var pending))
                {
                    pending.Confirmed.TrySetException(
                        new PublishFailedException(
                            $"The channel was lost before {pending.MessageId} was confirmed: {reason?.ReplyText ?? "closed"}.",
                            reason is null ? null : new OperationInterruptedException(reason)
                        )
                    );
                }
            }

            return Task.CompletedTask;
        }
    }

    private sealed class Pending(WireMessage message)
    {
        public WireMessage Message { get; } = message;

        public string MessageId { get; } = message.MessageId.ToString("D");

        public string? Returned { get; set; }

        public TaskCompletionSource Confirmed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>A mandatory message reached no queue: nothing consumes its type, or the workers have never run here.</summary>
public sealed class UnroutableMessageException(WireMessage message, string reason)
    : Exception($"No queue is bound to exchange '{message.Exchange}' for {message.MessageId} ({reason}).");

/// <summary>A message was not confirmed. It may have arrived: send it again under the same id.</summary>
public sealed class PublishFailedException(string message, Exception? inner = null) : Exception(message, inner);
