using System.Runtime.Serialization;
using System.Text.Json;
using MassTransit;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.Workers.Messaging;

/// <summary>A message that was read: which one it is, and a body that fits its schema.</summary>
/// <param name="Contract">The message.</param>
/// <param name="Body">A JSON object. A command has its id in it, also where the sender gave the id in the message
/// alone.</param>
internal sealed record IncomingMessage(MessageContract Contract, JsonElement Body)
{
    /// <summary>The message as its record.</summary>
    public object ToMessage() => Body.Deserialize(Contract.Type, IncomingBody.Options)!;
}

/// <summary>
/// Reads a message in any form that the pipeline takes: plain JSON, a CloudEvent in binary or structured mode, or
/// MassTransit's envelope. The lanes and MassTransit's endpoints both read through it.
/// </summary>
/// <remarks>
/// Which message it is, is said by the AMQP <c>type</c>, or else by the exchange that it was published to; the other
/// forms name it themselves. MassTransit's own raw deserializer gives a message without its private header to every
/// consumer of the queue: a save and a delete would both run.
/// </remarks>
internal static class MessageReader
{
    /// <summary>The media type of MassTransit's envelope.</summary>
    public const string EnvelopeMediaType = "application/vnd.masstransit+json";

    /// <summary>
    /// Reads a message in the form that its content type names; an unknown or missing one counts as plain JSON.
    /// </summary>
    /// <param name="delivery">The message.</param>
    /// <param name="bodySizeLimitBytes">A larger body is not read.</param>
    /// <returns>Null for an envelope around something that is no message of the contracts.</returns>
    /// <exception cref="SchemaViolationException">A command breaks its schema.</exception>
    /// <exception cref="SerializationException">
    /// The body is empty, too large or no JSON object; or the message is unknown, or came through the exchange of
    /// another.
    /// </exception>
    public static IncomingMessage? Read(Delivery delivery, int bodySizeLimitBytes)
    {
        var body = IncomingBody.Parse(delivery.Body.Span, bodySizeLimitBytes, delivery.Properties.ContentEncoding);
        return MediaTypeOf(delivery.Properties.ContentType) switch
        {
            EnvelopeMediaType => ReadEnvelope(delivery, body),
            CloudEvents.StructuredContentType => ReadStructuredEvent(delivery, body),
            _ => ReadPlain(delivery, body),
        };
    }

    /// <summary>Plain JSON, or a CloudEvent in binary mode where the headers make it one.</summary>
    private static IncomingMessage ReadPlain(Delivery delivery, JsonElement body) =>
        CloudEventAttributes.Of(delivery) is { } attributes
            ? CloudEventReader.Read(delivery, attributes, body)
            : IncomingBody.Accept(delivery, ContractOf(delivery), body, delivery.MessageId);

    private static IncomingMessage ReadStructuredEvent(Delivery delivery, JsonElement json) =>
        CloudEventReader.Read(delivery, CloudEventAttributes.Of(json), CloudEventReader.DataOf(json));

    private static IncomingMessage? ReadEnvelope(Delivery delivery, JsonElement envelope)
    {
        if (MessageUrns.Find(IncomingBody.TextsIn(envelope, "messageType")) is not { } contract)
            return null; // No message of the contracts: nobody will want it.

        var messageId = Guid.TryParse(IncomingBody.TextIn(envelope, "messageId"), out var id) ? id : (Guid?)null;
        if (IncomingBody.ObjectIn(envelope, "message") is not { } body)
            throw new SchemaViolationException(
                messageId,
                projectId: null,
                contract.Name,
                ["message: must be a JSON object."]
            );
        return IncomingBody.Accept(delivery, contract, body, messageId);
    }

    private static MessageContract ContractOf(Delivery delivery)
    {
        if (
            delivery.Header(MessageHeaders.MessageType) is { } header
            && MessageUrns.Find(header.Split(';')) is { } named
        )
            return named;

        var name = string.IsNullOrEmpty(delivery.Properties.Type) ? delivery.Exchange : delivery.Properties.Type;
        return MessageCatalog.TryFind(name, out var contract)
            ? contract
            : throw new SerializationException(
                $"'{name}' is no message of this pipeline (AMQP type, or the exchange)."
            );
    }

    /// <summary>A content type without its parameters, in lower case; empty for none.</summary>
    private static string MediaTypeOf(string? contentType) =>
        (contentType ?? "").Split(';')[0].Trim().ToLowerInvariant();
}

/// <summary>How large a body may be.</summary>
/// <param name="Bytes">A larger one is not read.</param>
internal sealed record BodyLimit(int Bytes);

/// <summary>The messages by the names that MassTransit gives to their types.</summary>
internal static class MessageUrns
{
    private static readonly Dictionary<string, MessageContract> ByUrn = MessageCatalog.All.ToDictionary(
        x => MessageUrn.ForTypeString(x.Type),
        StringComparer.OrdinalIgnoreCase
    );

    /// <returns>Null where none of the names is a message of the contracts.</returns>
    public static MessageContract? Find(IEnumerable<string> urns) =>
        urns.Select(x => ByUrn.GetValueOrDefault(x.Trim())).FirstOrDefault(x => x is not null);
}
