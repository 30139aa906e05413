using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Commands;

/// <summary>
/// A message whose receipt is not that of its own body: one between workers that carries out a command, or a command
/// that is compared without its secrets.
/// </summary>
/// <param name="Message">The message's type.</param>
/// <param name="CommandOf">Takes the command out of the message.</param>
/// <param name="ReplaysOf">
/// Takes out how often a person had replayed the command when it was handed over; replays of the message itself come on
/// top.
/// </param>
internal sealed record CarriedCommand(Type Message, Func<object, object> CommandOf, Func<object, int> ReplaysOf);

/// <summary>What is compared and kept of a message, for its consumer and for what records its failure alike.</summary>
internal sealed class CommandContents(IEnumerable<CarriedCommand> carried)
{
    private readonly Dictionary<Type, CarriedCommand> _carried = carried.ToDictionary(x => x.Message);

    /// <returns>Null where the message neither is a command nor carries one.</returns>
    public CommandRequest? RequestOf(object message, Delivery delivery)
    {
        var replays = DeliveryHeaders.Replays(delivery);
        if (_carried.TryGetValue(message.GetType(), out var carrier))
            return CommandRequest.Of(carrier.CommandOf(message), replays + carrier.ReplaysOf(message), delivery.Sender);
        return MessageCatalog.TryFind(WireNames.ExchangeOf(message.GetType()), out var contract) && contract.IsCommand
            ? CommandRequest.Of(message, replays, delivery.Sender)
            : null;
    }
}
