using System.Threading.Channels;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Wire;

/// <summary>
/// Publishes in the order of its calls, with many messages on their way at once, and reports each one only when the
/// broker has confirmed it.
/// </summary>
/// <remarks>
/// RabbitMQ.Client's own confirm tracking, with its rate limiter, reorders unawaited publishes and is slow (7.1.2:
/// 275/s measured; 7.2.2 has the same limiter and lock: Channel.PublisherConfirms.cs). It also lets the rest of a run
/// go on when a message is refused. So this class counts the sequence numbers itself.
/// Safe for concurrent callers; the order is then that of entering <see cref="SendAsync"/>. After a lost channel the
/// next call opens a new connection: messages that were on their way may or may not have arrived, and are sent again
/// under the same id.
/// </remarks>
/// <param name="broker">An amqp or amqps URI with credentials and virtual host.</param>
/// <param name="clientName">How the broker's lists of connections call this one.</param>
/// <param name="window">Unconfirmed messages at once.</param>
/// <param name="clock">Measures <see cref="ConfirmTimeout"/>; the system's where it is not given.</param>
public sealed class ConfirmedPublisher(
    Uri broker,
    string clientName,
    int window = ConfirmedPublisher.DefaultWindow,
    TimeProvider? clock = null
) : IAsyncDisposable
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
    /// <remarks>After an error send them all again, from the first: their ids make it harmless.</remarks>
    /// <inheritdoc cref="SendAllAsync" path="/remarks"/>
    /// <inheritdoc cref="SendAsync" path="/exception"/>
    public async Task PublishAllAsync(IEnumerable<WireMessage> messages, CancellationToken cancellation) =>
        await Task.WhenAll(await SendAllAsync(messages, cancellation));

    /// <summary>
    /// Writes messages in order, as one run: when one is not confirmed, nothing more is written, and nothing behind it
    /// counts as confirmed, although it may have arrived.
    /// </summary>
    /// <remarks>
    /// Sent again from the first unconfirmed one, a run keeps its order in the queue, by first occurrences: a lost
    /// channel ends behind some message of the run, and a full queue refuses all that follow until a part of it was
    /// consumed. What the caller cannot be protected from is a queue that refuses a message and takes one that was on
    /// its way behind it. An unroutable message ends no run: nothing is queued that could be overtaken.
    /// </remarks>
    /// <returns>A task for each message, in order; it ends when the broker has confirmed it and all before it.</returns>
    /// <exception cref="OperationCanceledException">Some may have been written.</exception>
    public async Task<IReadOnlyList<Task>> SendAllAsync(
        IEnumerable<WireMessage> messages,
        CancellationToken cancellation
    )
    {
        var run = new PublishRun();
        var confirms = new List<Task>();
        foreach (var message in messages)
        {
            var confirm = run.Failure is { } failure
                ? Task.FromException(PublishRun.NotSent(message, failure))
                : await WriteOfRunAsync(message, run, cancellation);
            confirms.Add(confirms.Count == 0 ? confirm : PublishRun.BehindAsync(confirms[^1], confirm));
        }

        return confirms;
    }

    /// <summary>Writes one message behind those sent before. The inner task ends when the broker has confirmed it.</summary>
    /// <exception cref="UnroutableMessageException">Mandatory, and no queue is bound for it. Nothing was queued.</exception>
    /// <exception cref="QueueFullException">A queue refused it because it is full. Nothing was queued there.</exception>
    /// <exception cref="PublishFailedException">
    /// The broker did not confirm in time or was lost. Send it again under the same id: that is safe.
    /// </exception>
    public Task<Task> SendAsync(WireMessage message, CancellationToken cancellation) =>
        WriteAsync(message, run: null, cancellation);

    private async Task<Task> WriteOfRunAsync(WireMessage message, PublishRun run, CancellationToken cancellation)
    {
        try
        {
            return await WriteAsync(message, run, cancellation);
        }
        catch (PublishFailedException e)
        {
            run.End(e);
            return Task.FromException(e);
        }
    }

    private async Task<Task> WriteAsync(WireMessage message, PublishRun? run, CancellationToken cancellation)
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
                // Checked last of all: a confirm may have failed while this call waited.
                if (run?.Failure is { } failure)
                    throw PublishRun.NotSent(message, failure);
                var channel = run?.Channel ?? await OpenChannelAsync(cancellation);
                if (!channel.IsOpen)
                    throw new PublishFailedException($"The channel was lost before {message.MessageId} was sent.");

                run?.StayOn(channel);
                var confirm = await channel.WriteAsync(message, cancellation);
                sent = true;
                return LeaveWindowAsync(confirm, run);
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
        _channel = await ConfirmChannel.OpenAsync(broker, clientName, clock ?? TimeProvider.System, cancellation);
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

    private async Task LeaveWindowAsync(Task confirm, PublishRun? run)
    {
        try
        {
            await confirm;
        }
        catch (PublishFailedException e)
        {
            run?.End(e); // Before the next message of the run gets this one's place in the window.
            throw;
        }
        finally
        {
            _window.Release();
        }
    }
}
