using Pipeline.Wire.Schemas;

namespace Pipeline.Workers.Messaging;

/// <summary>Whose login a message was published with. The broker checks it, whatever the message says of itself.</summary>
internal enum SenderRole
{
    /// <summary>Another service's, or the message names no login.</summary>
    Foreign,

    /// <summary>The publisher's, which replays dead letters.</summary>
    Publisher,

    /// <summary>A worker's.</summary>
    Worker,
}

/// <summary>Which messages a sender may send.</summary>
internal static class SenderRoles
{
    /// <summary>
    /// Public commands may come from anyone who may write to their exchanges, internal messages from workers and
    /// publisher, events from workers alone: whoever could send one could have a false webhook signed.
    /// </summary>
    /// <returns>Why the message is refused; null where its sender may send it.</returns>
    public static string? Refuse(MessageContract contract, Delivery delivery)
    {
        var (isAllowed, whose) = contract.Kind switch
        {
            MessageKind.Internal => (delivery.SenderRole != SenderRole.Foreign, "workers and publisher"),
            MessageKind.Event => (delivery.SenderRole == SenderRole.Worker, "workers"),
            _ => (true, ""),
        };
        if (isAllowed)
            return null;
        var login = delivery.Properties.UserId is { Length: > 0 } name ? $"'{name}'" : "missing";
        return $"'{contract.Name}' is taken from {whose} only, and its user_id is {login} "
            + "(Messaging__WorkerLogins, Messaging__PublisherLogins).";
    }
}
