using System.Runtime.Serialization;
using MassTransit;
using MassTransit.RabbitMqTransport;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.Workers.Messaging;

/// <summary>
/// A command whose body breaks its schema. The message is a dead letter, so that a person can read and mend it, and has
/// a <c>rejected</c> receipt; sending it again is of no use.
/// </summary>
/// <param name="commandId">From the body, or else from the message; null where neither has one.</param>
/// <param name="projectId">From the body; null where it has none.</param>
/// <param name="name">The command's exchange.</param>
/// <param name="violations">Each with its path and its rule.</param>
internal sealed class SchemaViolationException(
    Guid? commandId,
    Guid? projectId,
    string name,
    IReadOnlyList<string> violations
) : SerializationException(string.Join(' ', violations))
{
    public Guid? CommandId => commandId;

    public Guid? ProjectId => projectId;

    public string Name => name;
}

/// <summary>What is known of a command that no consumer could take.</summary>
/// <param name="CommandId">Its id.</param>
/// <param name="ProjectId">All zeros where neither body nor routing key names one.</param>
/// <param name="Name">The command's exchange, as far as it is known.</param>
/// <param name="Body">As it came.</param>
/// <param name="Reason">Names path and rule, or why it cannot be read at all.</param>
internal sealed record UnreadableCommand(Guid CommandId, Guid ProjectId, string Name, byte[] Body, string Reason)
{
    private const int NameLength = 60;
    private const int ReasonLength = 1_000;

    /// <returns>Null where there is no id: nobody could ask for a receipt, so the dead letter is all there is.</returns>
    /// <param name="delivery">The message.</param>
    /// <param name="error">Why it could not be read; null where no consumer wanted it.</param>
    /// <param name="unwanted">What to say where no consumer wanted it.</param>
    public static UnreadableCommand? Of(Delivery delivery, Exception? error, string unwanted)
    {
        var violation = error as SchemaViolationException;
        if ((violation?.CommandId ?? IdOf(delivery.Properties.MessageId)) is not { } commandId)
            return null;

        var reason =
            violation?.Message ?? (error is null ? unwanted : $"The message cannot be read: {Describe(error)}");
        return new UnreadableCommand(
            commandId,
            violation?.ProjectId ?? IdOf(delivery.RoutingKey) ?? Guid.Empty,
            Shorten(violation?.Name ?? NameOf(delivery), NameLength),
            delivery.Body.ToArray(),
            Shorten(reason, ReasonLength)
        );
    }

    /// <summary>Keeps the exchange of a message that goes to the dead letters: where it lies then, another one led.</summary>
    public static void KeepExchange(ExceptionReceiveContext delivery)
    {
        var exchange = delivery.GetPayload<RabbitMqBasicConsumeContext>().Exchange;
        if (MessageCatalog.TryFind(exchange, out _))
            delivery.ExceptionHeaders.Set(WireNames.ExchangeHeader, exchange);
    }

    // What the exchange takes counts where the type is nothing that anybody knows.
    private static string NameOf(Delivery delivery) =>
        delivery.Properties.Type is { } type && MessageCatalog.TryFind(type, out _) ? type : delivery.Exchange;

    private static Guid? IdOf(string? text) => Guid.TryParse(text, out var id) && id != Guid.Empty ? id : null;

    private static string Shorten(string text, int length) =>
        ShortText.Cut(text, length).Replace("\0", "\\0", StringComparison.Ordinal);

    private static string Describe(Exception error) =>
        error.InnerException is null ? error.Message : $"{error.Message} {error.GetBaseException().Message}";
}
