using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Workers.Messaging;

/// <summary>What of the outbox is passed over: a message, or all of an exchange.</summary>
/// <param name="Id">The row; null for all of the exchange.</param>
/// <param name="Exchange">The exchange; null for a row.</param>
internal sealed record OutboxHold(long? Id, string? Exchange)
{
    public override string ToString() => Exchange is null ? $"outbox message {Id}" : $"exchange '{Exchange}'";
}

/// <summary>
/// Messages that the broker answers by closing the channel. With them everything behind them would stand still; so they
/// are passed over, and tried alone from time to time, until the broker takes them.
/// </summary>
/// <param name="clock">Measures it.</param>
/// <param name="length">How long until one is tried again.</param>
internal sealed class OutboxHolds(TimeProvider clock, TimeSpan length)
{
    // Past it the broker refuses so much that the relay had better wait.
    private const int Limit = 1_000;

    private const int AccessRefused = 403;
    private const int NotFound = 404;

    // From here on a code is about what was sent; below it (320) the broker closes for reasons of its own.
    private const int FirstOfSender = 400;

    private readonly Dictionary<OutboxHold, long> _heldAt = [];

    public int Count => _heldAt.Count;

    public bool IsFull => _heldAt.Count >= Limit;

    public IEnumerable<long> Ids => _heldAt.Keys.Where(x => x.Id is not null).Select(x => x.Id!.Value);

    public string[] Exchanges => [.. _heldAt.Keys.Where(x => x.Exchange is not null).Select(x => x.Exchange!)];

    /// <summary>The one to be tried again; null where none is due.</summary>
    public OutboxHold? Due() =>
        _heldAt.Keys.Where(x => clock.GetElapsedTime(_heldAt[x]) >= length).MinBy(x => _heldAt[x]);

    /// <summary>Holds it, or holds it longer.</summary>
    public void Hold(OutboxHold hold) => _heldAt[hold] = clock.GetTimestamp();

    public void Release(OutboxHold hold) => _heldAt.Remove(hold);

    /// <summary>What a lost channel says about the only message that was on it; null where it says nothing.</summary>
    public static OutboxHold? Of(OutboxRow alone, Exception loss) =>
        CodeOf(loss) switch
        {
            null => null,
            // The exchange is not there, or is not ours to write to: that is the same for all of its messages.
            NotFound or AccessRefused => new OutboxHold(null, alone.Message.Exchange),
            _ => new OutboxHold(alone.Id, null),
        };

    private static int? CodeOf(Exception loss)
    {
        for (var e = loss; e is not null; e = e.InnerException)
        {
            if (
                e is OperationInterruptedException
                {
                    ShutdownReason: { Initiator: ShutdownInitiator.Peer, ReplyCode: >= FirstOfSender } reason
                }
            )
                return reason.ReplyCode;
        }

        return null;
    }
}
