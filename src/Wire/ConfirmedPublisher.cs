using System.Threading.Channels;
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

    /// <summary>
    /// How long the broker may take to confirm, to take a message off our hands, or to open a connection. A quorum
    /// queue without its majority does not confirm; a broker that is out of memory reads nothing.
    /// </summary>
    public static readonly TimeSpan ConfirmTimeout = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _order = new(1, 1);
    private readonly SemaphoreSlim _window = new(window, window);
    private ConfirmChannel? _channel;

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
        ConfirmChannel? channel = null;
        PublishFailedException? lost = null;
        foreach (var message in messages)
        {
            try
            {
                if (lost is null)
                {
                    (channel, var confirm) = await SendOnAsync(message, channel, cancellation);
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

    private async Task<(ConfirmChannel Channel, Task Confirmed)> SendOnAsync(
        WireMessage message,
        ConfirmChannel? required,
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

                var channel = required ?? await OpenChannelAsync(cancellation);
                var confirm = await channel.WriteAsync(message, cancellation);
                sent = true;
                return (channel, LeaveWindow(confirm));
            }
            finally
            {
                if (!sent)
                    _window.Release();
            }
        }
        catch (Exception e) when (IsLoss(e, cancellation))
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
        if (_channel is not null)
            await _channel.DisposeAsync();
        _order.Dispose();
        _window.Dispose();
    }

    private async Task<ConfirmChannel> OpenChannelAsync(CancellationToken cancellation)
    {
        if (_channel is { IsOpen: true })
            return _channel;

        // Forgotten first: where the broker is down, the next call must not dispose the same channel again.
        var lost = _channel;
        _channel = null;
        if (lost is not null)
            await lost.DisposeAsync();
        _channel = await ConfirmChannel.OpenAsync(broker, clientName, cancellation);
        return _channel;
    }

    private static bool IsLoss(Exception error, CancellationToken caller) =>
        error
            is RabbitMQClientException
                or IOException
                or TimeoutException
                or ObjectDisposedException
                or ChannelClosedException
        || (error is OperationCanceledException && !caller.IsCancellationRequested);

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
}

/// <summary>A mandatory message reached no queue: nothing consumes its type, or the workers have never run here.</summary>
public sealed class UnroutableMessageException(WireMessage message, string reason)
    : Exception($"No queue is bound to exchange '{message.Exchange}' for {message.MessageId} ({reason}).");

/// <summary>A message was not confirmed. It may have arrived: send it again under the same id.</summary>
public sealed class PublishFailedException(string message, Exception? inner = null) : Exception(message, inner);
