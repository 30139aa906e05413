using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>
/// One look through a dead-letter queue, from its front. What is not acknowledged is back in its place when the pass
/// ends, also when the process is killed.
/// </summary>
/// <remarks>
/// Measured on quorum queues: messages that one consumer holds go back in their order when its channel ends, in
/// whatever way; messages fetched with <c>basic.get</c> go back in disorder, and so do those of two consumers. What
/// goes back stands behind what went back before and is not held now. Hence one consumer, as wide as can be, and an
/// exclusive queue of the connection as a lock, so that there is one desk at a queue at a time. The price is memory:
/// up to <see cref="Width"/> messages wait in this process while a slow replay is at the first of them.
/// </remarks>
internal sealed class DeskPass : IAsyncDisposable
{
    /// <summary>How many messages a pass holds at once, and at most looks at: AMQP's prefetch has 16 bits.</summary>
    public const ushort Width = ushort.MaxValue;

    private const ushort ResourceLocked = 405;
    private const int Buffered = 64;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ReturnLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ReturnPoll = TimeSpan.FromMilliseconds(20);

    private readonly IConnection _connection;
    private readonly IChannel _channel;
    private readonly Channel<DeadLetter> _letters = Channel.CreateBounded<DeadLetter>(Buffered);
    private readonly uint _ready;
    private long _read;
    private long _acknowledged;

    private DeskPass(IConnection connection, IChannel channel, string queue, uint ready)
    {
        _connection = connection;
        _channel = channel;
        _ready = ready;
        Queue = queue;
        Expected = Math.Min(ready, Width);
        SeesAll = ready <= Width;
    }

    public string Queue { get; }

    /// <summary>How many messages the pass looks at: those that lay there when it began, as far as its width goes.</summary>
    public uint Expected { get; }

    /// <summary>True where the width was enough for everything that lay there.</summary>
    public bool SeesAll { get; }

    /// <param name="broker">The broker.</param>
    /// <param name="queue">A dead-letter queue.</param>
    /// <param name="cancellation">Ends the opening.</param>
    /// <exception cref="FailureException">Another desk is at the queue.</exception>
    /// <exception cref="PublishFailedException">The broker cannot be reached, or has no such queue.</exception>
    public static async Task<DeskPass> OpenAsync(Uri broker, string queue, CancellationToken cancellation)
    {
        var factory = new ConnectionFactory
        {
            Uri = broker,
            ClientProvidedName = $"publisher dead-letters {queue}",
            AutomaticRecoveryEnabled = false, // A recovered consumer would begin anew behind our back.
        };
        IConnection? connection = null;
        try
        {
            connection = await factory.CreateConnectionAsync(cancellation);
            var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
            await channel.QueueDeclareAsync(
                WireNames.DeadLetterLock(queue),
                false,
                true,
                true,
                cancellationToken: cancellation
            );
            var ready = await channel.MessageCountAsync(queue, cancellation);
            var pass = new DeskPass(connection, channel, queue, ready);
            await pass.ConsumeAsync(cancellation);
            return pass;
        }
        catch (Exception e) when (e is RabbitMQClientException or IOException or TimeoutException)
        {
            if (connection is not null)
                await connection.DisposeAsync();
            throw e is OperationInterruptedException { ShutdownReason.ReplyCode: ResourceLocked }
                ? new FailureException(
                    $"Somebody else is at the dead letters in {queue}; try again when they are done."
                )
                : new PublishFailedException($"{queue} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The messages in their order; each is held until it is acknowledged or the pass ends.</summary>
    public async IAsyncEnumerable<DeadLetter> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        while (_read < Expected)
        {
            var next = NextAsync(cancellation);
            while (await Task.WhenAny(next, Task.Delay(Patience, cancellation)) != next)
            {
                cancellation.ThrowIfCancellationRequested();
                // Nothing comes: either the broker is slow, or something else has emptied the queue.
                if (await ReadyAsync(cancellation) == 0)
                    yield break;
            }

            _read++;
            yield return await next;
        }
    }

    /// <summary>Takes messages out of the queue for good; returns when the broker has done so.</summary>
    public async Task AcknowledgeAsync(IReadOnlyCollection<DeadLetter> letters, CancellationToken cancellation)
    {
        try
        {
            foreach (var letter in letters)
                await _channel.BasicAckAsync(letter.Tag, multiple: false, cancellation);
            // The broker answers in order, so with this answer it has seen the acknowledgements.
            await ReadyAsync(cancellation);
            _acknowledged += letters.Count;
        }
        catch (Exception e) when (e is RabbitMQClientException or IOException or TimeoutException)
        {
            throw Lost(e);
        }
    }

    /// <summary>Puts back what is held, and waits until it is there.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            if (_connection.IsOpen && _channel.IsOpen)
            {
                await using var look = await _connection.CreateChannelAsync();
                _letters.Writer.TryComplete();
                await _channel.AbortAsync();
                // The channel ends at the queue a moment later. Whoever looked before that would see what was
                // not held, and so later messages first.
                var there = _ready - _acknowledged;
                for (var waited = TimeSpan.Zero; waited < ReturnLimit; waited += ReturnPoll)
                {
                    if (await look.MessageCountAsync(Queue) >= there)
                        break;
                    await Task.Delay(ReturnPoll);
                }
            }
        }
        catch (Exception e) when (e is RabbitMQClientException or IOException or TimeoutException)
        {
            // The connection is lost; the broker puts the messages back by itself.
        }

        await _connection.AbortAsync();
        await _channel.DisposeAsync();
        await _connection.DisposeAsync();
    }

    private async Task ConsumeAsync(CancellationToken cancellation)
    {
        var consumer = new AsyncEventingBasicConsumer(_channel);
        consumer.ReceivedAsync += async (_, delivery) =>
        {
            // The body's memory is the client's; it is used again after this handler.
            var letter = new DeadLetter(
                Queue,
                delivery.RoutingKey,
                delivery.BasicProperties,
                delivery.Body.ToArray(),
                delivery.DeliveryTag
            );
            if (await _letters.Writer.WaitToWriteAsync())
                await _letters.Writer.WriteAsync(letter);
        };
        _channel.ChannelShutdownAsync += (_, reason) =>
        {
            _letters.Writer.TryComplete(new OperationInterruptedException(reason));
            return Task.CompletedTask;
        };
        await _channel.BasicQosAsync(0, Width, global: false, cancellation);
        await _channel.BasicConsumeAsync(Queue, autoAck: false, consumer, cancellation);
    }

    private async Task<DeadLetter> NextAsync(CancellationToken cancellation)
    {
        try
        {
            return await _letters.Reader.ReadAsync(cancellation);
        }
        catch (ChannelClosedException e)
        {
            throw Lost(e.InnerException ?? e);
        }
    }

    private Task<uint> ReadyAsync(CancellationToken cancellation) => _channel.MessageCountAsync(Queue, cancellation);

    private PublishFailedException Lost(Exception error) =>
        new($"{Queue} was lost from sight; nothing is lost from the queue: {error.Message}", error);
}
