using System.Security.Cryptography;
using MassTransit;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Commands;

/// <summary>One delivery of a command that is no lane command.</summary>
/// <param name="CommandId">Not all zeros.</param>
/// <param name="ProjectId">
/// The project under which its receipt is listed: the command's own, or that of what it is about. All zeros for none.
/// </param>
/// <param name="Command">Its exchange.</param>
/// <param name="Content">The command as the pipeline writes it, whatever it looked like on the wire.</param>
/// <param name="Replays">How often a person has replayed the message from the dead letters.</param>
internal sealed record CommandRequest(Guid CommandId, Guid ProjectId, string Command, byte[] Content, int Replays = 0)
{
    /// <inheritdoc cref="CommandKey.Scope"/>
    public Guid Scope { get; init; } = ProjectId;

    public CommandKey Key => new(Scope, CommandId);

    /// <summary>False for a body that could not be read: where it comes under a used id, it is not kept.</summary>
    public bool IsJson { get; init; } = true;

    /// <summary>What makes a second command under the same id the same one, or another.</summary>
    public byte[] RequestHash { get; } = SHA256.HashData(Content);

    /// <summary>A command as <see cref="MessageReader"/> has read it: with its id, and its project where it names one.</summary>
    /// <param name="command">A public command.</param>
    /// <param name="replays">How often a person has replayed it.</param>
    /// <param name="sender">The broker's user who has sent it; null where the message does not say.</param>
    public static CommandRequest Of(object command, int replays, string? sender)
    {
        var (type, key) = (command.GetType(), CommandKey.Of(command));
        return new CommandRequest(
            key.CommandId,
            key.Scope,
            WireNames.ExchangeOf(type),
            WireJson.Write(command, type),
            replays
        )
        {
            Scope = CommandKey.Of(command, sender).Scope,
        };
    }

    /// <summary>The command that a consumer was given.</summary>
    public static CommandRequest Of<T>(ConsumeContext<T> context)
        where T : class => Of(context.Message, Delivery.Of(context.ReceiveContext));

    /// <summary>False where the receipt is that of another command which came first under the same id.</summary>
    public bool IsOf(FoundReceipt receipt) => receipt.RequestHash.AsSpan().SequenceEqual(RequestHash);

    /// <summary>The command as it was read from the delivery.</summary>
    public static CommandRequest Of(object command, Delivery delivery) =>
        Of(command, DeliveryHeaders.Replays(delivery), delivery.Sender);
}
