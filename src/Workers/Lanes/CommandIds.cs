using MassTransit;

namespace Pipeline.Workers.Lanes;

/// <summary>A command's id may come as the message's id alone.</summary>
internal static class CommandIds
{
    /// <exception cref="CommandWithoutIdException">Neither the body nor the message has an id.</exception>
    public static Guid Of(ConsumeContext context, Guid named) =>
        named != Guid.Empty ? named
        : context.MessageId is { } id && id != Guid.Empty ? id
        : throw new CommandWithoutIdException();
}

/// <summary>Neither the body nor the message properties name a command id, so there can be no receipt.</summary>
internal sealed class CommandWithoutIdException()
    : Exception("commandId: must not be empty or all zeros, in the body or as message_id.");
