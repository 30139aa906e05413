using Pipeline.Contracts;
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
