namespace Pipeline.Contracts;

/// <summary>
/// A command that writes to one project. Commands of one project are applied in the order in which they were queued.
/// </summary>
/// <remarks>
/// On the wire: a JSON object in camelCase, published to the exchange named after the type in kebab-case
/// (<c>save-image</c>) with <c>content_type: application/json</c>, AMQP <c>type</c> = the exchange's name,
/// <c>message_id</c> = <see cref="CommandId"/> and routing key = <see cref="ProjectId"/> in lower-case hexadecimal
/// with hyphens. The routing key decides the lane, so a command with another one is rejected.
/// </remarks>
public interface ILaneCommand
{
    /// <summary>Chosen by the sender, not all zeros. The same id is the same command: it takes effect once.</summary>
    Guid CommandId { get; }

    /// <summary>The project written to, not all zeros; also the ordering key.</summary>
    Guid ProjectId { get; }
}
