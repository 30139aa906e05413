using System.Net.Mime;
using System.Runtime.Serialization;
using System.Text.Json;
using MassTransit;
using MassTransit.RabbitMqTransport;
using MassTransit.Serialization;

namespace Pipeline.Workers.Messaging;

/// <summary>
/// Reads plain JSON from any language. Which message it is, is said by the AMQP <c>type</c>, or else by the exchange
/// that it was published to.
/// </summary>
/// <remarks>
/// MassTransit's own raw deserializer gives a message without its private header to every consumer of the queue: a save
/// and a delete would both run.
/// </remarks>
/// <param name="urnByExchange">The messages of this pipeline.</param>
/// <param name="bodySizeLimitBytes">Larger bodies are not read.</param>
/// <param name="onlyUrn">Given for a queue where everything is this message, whatever the sender calls it.</param>
internal sealed class WireDeserializer(
    IReadOnlyDictionary<string, string> urnByExchange,
    int bodySizeLimitBytes,
    string? onlyUrn = null
) : IMessageDeserializer
{
    private const RawSerializerOptions Raw = RawSerializerOptions.Default;

    public ContentType ContentType => SystemTextJsonRawMessageSerializer.JsonContentType;

    public ConsumeContext Deserialize(ReceiveContext receiveContext)
    {
        var bytes = BodyLimit.Check(receiveContext.Body, bodySizeLimitBytes);
        var type = TypeOf(receiveContext);
        try
        {
            var json = JsonSerializer.Deserialize<JsonElement>(bytes, SystemTextJsonMessageSerializer.Options);
            if (json.ValueKind != JsonValueKind.Object)
                throw new SerializationException("The body is not a JSON object.");

            var message = new RawMessageContext(receiveContext.TransportHeaders, receiveContext.InputAddress, Raw);
            var serializer = new SystemTextJsonRawSerializerContext(
                SystemTextJsonMessageSerializer.Instance,
                SystemTextJsonMessageSerializer.Options,
                ContentType,
                message,
                [type],
                Raw,
                json
            );
            return new BodyConsumeContext(receiveContext, serializer);
        }
        catch (JsonException e)
        {
            throw new SerializationException("The body is no valid JSON.", e);
        }
    }

    // MassTransit asks for this only when it reads a message outside a receive endpoint, which nothing here does.
    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) =>
        throw new NotSupportedException("A message's type is known only to its delivery.");

    public MessageBody GetMessageBody(string text) => new StringMessageBody(text);

    public void Probe(ProbeContext context) =>
        context.CreateScope("plain-json").Add("contentType", ContentType.MediaType);

    private string TypeOf(ReceiveContext context)
    {
        if (onlyUrn is not null)
            return onlyUrn;
        if (context.TransportHeaders.TryGetHeader(MessageHeaders.MessageType, out var urn) && urn is string text)
            return text;

        var amqp = context.GetPayload<RabbitMqBasicConsumeContext>();
        var name = string.IsNullOrEmpty(amqp.Properties.Type) ? amqp.Exchange : amqp.Properties.Type;
        return urnByExchange.TryGetValue(name, out var known)
            ? known
            : throw new SerializationException(
                $"'{name}' is no message of this pipeline (AMQP type, or the exchange)."
            );
    }
}

/// <summary>MassTransit's envelope, for .NET services that publish with it.</summary>
internal sealed class EnvelopeDeserializer(int bodySizeLimitBytes) : IMessageDeserializer
{
    private readonly SystemTextJsonMessageSerializer _envelope = SystemTextJsonMessageSerializer.Instance;

    public ContentType ContentType => SystemTextJsonMessageSerializer.JsonContentType;

    public ConsumeContext Deserialize(ReceiveContext receiveContext)
    {
        BodyLimit.Check(receiveContext.Body, bodySizeLimitBytes);
        return _envelope.Deserialize(receiveContext);
    }

    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) =>
        _envelope.Deserialize(body, headers, destinationAddress);

    public MessageBody GetMessageBody(string text) => _envelope.GetMessageBody(text);

    public void Probe(ProbeContext context) => _envelope.Probe(context);
}

internal static class BodyLimit
{
    /// <returns>The body.</returns>
    /// <exception cref="SerializationException">It is empty or larger than the limit; the message can never be read.</exception>
    public static byte[] Check(MessageBody body, int limitBytes)
    {
        var bytes = body.GetBytes();
        return bytes.Length == 0 ? throw new SerializationException("The body is empty.")
            : bytes.Length > limitBytes
                ? throw new SerializationException($"The body has {bytes.Length} bytes; the limit is {limitBytes}.")
            : bytes;
    }
}
