using System.Net.Mime;
using System.Runtime.Serialization;
using MassTransit;
using MassTransit.RabbitMqTransport;
using MassTransit.Serialization;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.Workers.Messaging;

/// <summary>
/// Reads plain JSON from any language. Which message it is, is said by the AMQP <c>type</c>, or else by the exchange
/// that it was published to; where the headers make it a CloudEvent in binary mode, by that event's type.
/// </summary>
/// <remarks>
/// MassTransit's own raw deserializer gives a message without its private header to every consumer of the queue: a save
/// and a delete would both run.
/// </remarks>
/// <param name="bodySizeLimitBytes">Larger bodies are not read.</param>
/// <param name="only">Given for a queue where everything is this message, whatever its sender calls it.</param>
internal sealed class WireDeserializer(int bodySizeLimitBytes, Type? only = null) : IMessageDeserializer
{
    public ContentType ContentType => SystemTextJsonRawMessageSerializer.JsonContentType;

    public ConsumeContext Deserialize(ReceiveContext receiveContext)
    {
        var body = IncomingBody.Parse(receiveContext, bodySizeLimitBytes);
        if (only is not null)
            return IncomingBody.Open(receiveContext, only, body, ContentType);

        var amqp = receiveContext.GetPayload<RabbitMqBasicConsumeContext>();
        var messageId = Guid.TryParse(amqp.Properties.MessageId, out var id) ? id : (Guid?)null;
        if (CloudEventAttributes.Of(receiveContext) is { } attributes)
            return CloudEventReader.Open(receiveContext, attributes, body, messageId, ContentType);

        return IncomingBody.Open(receiveContext, ContractOf(receiveContext, amqp), body, messageId, ContentType);
    }

    // MassTransit asks for this only when it reads a message outside a receive endpoint, which nothing here does.
    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) =>
        throw new NotSupportedException("A message's type is known only to its delivery.");

    public MessageBody GetMessageBody(string text) => new StringMessageBody(text);

    public void Probe(ProbeContext context) =>
        context.CreateScope("plain-json").Add("contentType", ContentType.MediaType);

    private static MessageContract ContractOf(ReceiveContext delivery, RabbitMqBasicConsumeContext amqp)
    {
        if (
            delivery.TransportHeaders.TryGetHeader(MessageHeaders.MessageType, out var header)
            && MessageUrns.Find(header.ToString()!.Split(';')) is { } named
        )
            return named;

        var name = string.IsNullOrEmpty(amqp.Properties.Type) ? amqp.Exchange : amqp.Properties.Type;
        return MessageCatalog.TryFind(name, out var contract)
            ? contract
            : throw new SerializationException(
                $"'{name}' is no message of this pipeline (AMQP type, or the exchange)."
            );
    }
}

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
