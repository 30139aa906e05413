using Pipeline.Contracts;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Lanes;

/// <summary>A delivery and what it was read as.</summary>
/// <param name="Delivery">The message.</param>
/// <param name="Entry">Null where the message is no command and has no id, so that there can be no receipt.</param>
/// <param name="Unreadable">Why the message is no command of the lane; null where it is one.</param>
internal sealed record LaneItem(Delivery Delivery, LaneEntry? Entry, UnreadableMessage? Unreadable);

/// <summary>Why a message is no lane command.</summary>
/// <param name="Error">What went wrong while it was read; null where it is a known message, but no lane command.</param>
internal sealed record UnreadableMessage(Exception? Error);

/// <summary>Reads a lane's deliveries.</summary>
internal sealed class LaneReader(
    IEnumerable<ILaneHandler> handlers,
    LaneOptions options,
    MessagingOptions messaging,
    ILogger<LaneReader> logger
)
{
    private const string Unwanted = "The message's type is not a lane command.";

    private readonly Dictionary<Type, ILaneHandler> _handlers = handlers.ToDictionary(x => x.CommandType);

    /// <summary>Reads one delivery. It never throws for what the delivery holds.</summary>
    public LaneItem Read(int lane, Delivery delivery)
    {
        delivery = delivery.KnownBy(messaging);
        try
        {
            return
                MessageReader.Read(delivery.Through(messaging), options.BodySizeLimitBytes) is { } message
                && _handlers.TryGetValue(message.Contract.Type, out var handler)
                ? new LaneItem(delivery, EntryOf((ILaneCommand)message.ToMessage(), delivery, handler), null)
                : Unreadable(lane, delivery, error: null);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return Unreadable(lane, delivery, e);
        }
    }

    private static LaneEntry EntryOf(ILaneCommand command, Delivery delivery, ILaneHandler handler) =>
        LaneEntry.Of(
            command,
            command.CommandId,
            RefuseAddress(command, delivery) ?? handler.Refuse(command),
            DeliveryHeaders.Replays(delivery),
            DeliveryHeaders.Redeliveries(delivery)
        );

    /// <summary>Another routing key means another lane, and so no order: such a command is refused, not applied.</summary>
    private static string? RefuseAddress(ILaneCommand command, Delivery delivery)
    {
        var expected = WireNames.RoutingKeyOf(command.ProjectId);
        return delivery.RoutingKey == expected
            ? null
            : $"routing key: must be the project id '{expected}', which decides the lane.";
    }

    private LaneItem Unreadable(int lane, Delivery delivery, Exception? error)
    {
        LaneLog.MessageUnreadable(logger, lane, error?.Message ?? Unwanted);
        var command = UnreadableCommand.Of(delivery, error, Unwanted);
        var entry = command is null
            ? null
            : LaneEntry.Unreadable(command, DeliveryHeaders.Replays(delivery), DeliveryHeaders.Redeliveries(delivery));
        return new LaneItem(delivery, entry, new UnreadableMessage(error));
    }
}
