using System.Net.Mime;
using System.Runtime.Serialization;
using System.Text.Json;
using MassTransit;
using MassTransit.RabbitMqTransport;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.Workers.Messaging;

/// <summary>The attributes of a CloudEvent that decide what becomes of it.</summary>
/// <param name="SpecVersion">Must be 1.0.</param>
/// <param name="Id">The command id, where it is a UUID and the data has none.</param>
/// <param name="Source">Who sent it; required by the specification, and not used here.</param>
/// <param name="Type">The message's name.</param>
internal sealed record CloudEventAttributes(string? SpecVersion, string? Id, string? Source, string? Type)
{
    /// <returns>Null where the headers do not make the message a CloudEvent in binary mode.</returns>
    public static CloudEventAttributes? Of(ReceiveContext delivery)
    {
        var prefix = CloudEvents.Prefixes.FirstOrDefault(x => Header(delivery, x + "specversion") is not null);
        return prefix is null
            ? null
            : new CloudEventAttributes(
                Header(delivery, prefix + "specversion"),
                Header(delivery, prefix + "id"),
                Header(delivery, prefix + "source"),
                Header(delivery, prefix + "type")
            );
    }

    /// <summary>The same from the event's JSON.</summary>
    public static CloudEventAttributes Of(JsonElement json) =>
        new(
            IncomingBody.TextIn(json, "specversion"),
            IncomingBody.TextIn(json, "id"),
            IncomingBody.TextIn(json, "source"),
            IncomingBody.TextIn(json, "type")
        );

    /// <summary>What the specification's section "REQUIRED Attributes" wants and is not there.</summary>
    public IEnumerable<string> Violations()
    {
        if (SpecVersion != CloudEvents.SpecVersion)
            yield return $"specversion: must be {CloudEvents.SpecVersion}.";
        if (string.IsNullOrEmpty(Id))
            yield return "id: is required of a CloudEvent.";
        if (string.IsNullOrEmpty(Source))
            yield return "source: is required of a CloudEvent.";
    }

    private static string? Header(ReceiveContext delivery, string name) =>
        delivery.TransportHeaders.TryGetHeader(name, out var value) ? value.ToString() : null;
}

/// <summary>Makes a message of a CloudEvent.</summary>
internal static class CloudEventReader
{
    /// <param name="delivery">The message.</param>
    /// <param name="attributes">Of the event.</param>
    /// <param name="body">The event's data; null where it has none that could be a message.</param>
    /// <param name="messageId">The AMQP message's id, where the event's own is no UUID.</param>
    /// <param name="contentType">Of the data.</param>
    public static ConsumeContext Open(
        ReceiveContext delivery,
        CloudEventAttributes attributes,
        JsonElement? body,
        Guid? messageId,
        ContentType contentType
    )
    {
        var id = Guid.TryParse(attributes.Id, out var own) ? own : messageId;
        if (attributes.Type is null || !MessageCatalog.TryFind(attributes.Type, out var contract))
        {
            // The command that its exchange takes is what its sender meant.
            var exchange = delivery.GetPayload<RabbitMqBasicConsumeContext>().Exchange;
            throw new SchemaViolationException(
                id,
                projectId: null,
                exchange,
                [$"type: '{attributes.Type}' is no message of this pipeline."]
            );
        }

        if (body is not { } data)
            throw new SchemaViolationException(id, projectId: null, contract.Name, ["data: must be a JSON object."]);
        return IncomingBody.Open(delivery, contract, data, id, contentType, [.. attributes.Violations()]);
    }
}

/// <summary>A CloudEvent in structured mode: JSON with the message as its data (JSON event format 1.0.2).</summary>
internal sealed class StructuredEventDeserializer(int bodySizeLimitBytes) : IMessageDeserializer
{
    public ContentType ContentType { get; } = new(CloudEvents.StructuredContentType);

    public ConsumeContext Deserialize(ReceiveContext receiveContext)
    {
        var json = IncomingBody.Parse(receiveContext, bodySizeLimitBytes);
        var amqp = receiveContext.GetPayload<RabbitMqBasicConsumeContext>();
        return CloudEventReader.Open(
            receiveContext,
            CloudEventAttributes.Of(json),
            DataOf(json),
            Guid.TryParse(amqp.Properties.MessageId, out var id) ? id : null,
            ContentType
        );
    }

    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) =>
        throw new NotSupportedException("A message's type is known only to its delivery.");

    public MessageBody GetMessageBody(string text) => new StringMessageBody(text);

    public void Probe(ProbeContext context) =>
        context.CreateScope("cloudevents").Add("contentType", ContentType.MediaType);

    // Section 3.1.1 of the format: the data as JSON, or any data as Base64.
    private static JsonElement? DataOf(JsonElement json)
    {
        if (IncomingBody.TextIn(json, "data_base64") is { } encoded)
        {
            var bytes = new byte[encoded.Length];
            return Convert.TryFromBase64String(encoded, bytes, out var length)
                ? IncomingBody.Parse(bytes.AsSpan(0, length))
                : null;
        }

        return IncomingBody.ObjectIn(json, "data");
    }
}
