using Pipeline.Contracts;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;

namespace Pipeline.Wire;

/// <summary>A message as it goes to the broker.</summary>
/// <param name="Exchange">Where it is published; also its AMQP <c>type</c>.</param>
/// <param name="RoutingKey">The project id for what belongs to a project, otherwise empty.</param>
/// <param name="MessageId">The command id, or an id derived from it for an event.</param>
/// <param name="Body">JSON in UTF-8.</param>
/// <param name="Mandatory">True where a message that reaches no queue is an error: commands, not events.</param>
public sealed record WireMessage(
    string Exchange,
    string RoutingKey,
    Guid MessageId,
    ReadOnlyMemory<byte> Body,
    bool Mandatory
)
{
    /// <summary>The body's media type.</summary>
    public string ContentType { get; init; } = WireJson.ContentType;

    /// <summary>AMQP headers; null for none.</summary>
    public IReadOnlyDictionary<string, object?>? Headers { get; init; }

    /// <summary>
    /// Properties and headers to send as they are, for a message that was received and goes on; null for this program's
    /// own, whose properties follow from the rest.
    /// </summary>
    public BasicProperties? Properties { get; init; }

    /// <summary>
    /// True where an internal message or an event has the login that publishes it as its AMQP <c>user_id</c>, by which
    /// a receiver knows the sender: the broker takes no other. A public command may come from anybody, and has none.
    /// False for a dead letter, since whoever moves it is not its sender.
    /// </summary>
    public bool NamesSender { get; init; } = true;

    /// <summary>
    /// True for the replay of a dead letter. It names its login also where it is a public command: only from a login of
    /// workers or publisher does a receiver believe the header that says who sent the message first.
    /// </summary>
    public bool IsReplay { get; init; }

    /// <summary>The properties of the message as a login publishes it.</summary>
    internal BasicProperties ToAmqp(string login)
    {
        var properties = Properties is { } given
            ? new BasicProperties(given)
            : new BasicProperties
            {
                MessageId = MessageId.ToString("D"),
                Type = Exchange,
                ContentType = ContentType,
                DeliveryMode = DeliveryModes.Persistent,
                Headers = Headers?.ToDictionary(StringComparer.Ordinal),
            };
        if (NamesSender && (IsReplay || !(MessageCatalog.TryFind(Exchange, out var contract) && contract.IsCommand)))
            properties.UserId = login;
        return properties;
    }

    /// <summary>Of a command: its routing key is its project's id, or names none.</summary>
    public CommandKey Key => new(Guid.TryParse(RoutingKey, out var project) ? project : Guid.Empty, MessageId);

    /// <summary>A lane command under its own id and its project's routing key.</summary>
    public static WireMessage Command<T>(T command)
        where T : ILaneCommand => Command(command, command.CommandId, command.ProjectId);

    /// <summary>A command that is no lane command.</summary>
    public static WireMessage Command<T>(T command, Guid commandId, Guid projectId) =>
        new(
            WireNames.ExchangeOf<T>(),
            WireNames.RoutingKeyOf(projectId),
            commandId,
            WireJson.Write(command),
            Mandatory: true
        );
}
