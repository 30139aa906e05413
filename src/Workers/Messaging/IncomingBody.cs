using System.Buffers;
using System.Net.Mime;
using System.Runtime.Serialization;
using System.Text.Json;
using MassTransit;
using MassTransit.Serialization;
using Pipeline.Wire.Schemas;

namespace Pipeline.Workers.Messaging;

/// <summary>From the bytes of a delivery to a body that fits its schema.</summary>
internal static class IncomingBody
{
    private const RawSerializerOptions Raw = RawSerializerOptions.Default;
    private const string CommandId = "commandId";

    /// <exception cref="SerializationException">It is empty, larger than the limit, or no JSON object.</exception>
    public static JsonElement Parse(ReceiveContext delivery, int limitBytes)
    {
        var bytes = delivery.Body.GetBytes();
        if (bytes.Length == 0)
            throw new SerializationException("The body is empty.");
        if (bytes.Length > limitBytes)
            throw new SerializationException($"The body has {bytes.Length} bytes; the limit is {limitBytes}.");
        return Parse(bytes);
    }

    /// <exception cref="SerializationException">It is no JSON object.</exception>
    public static JsonElement Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            var body = JsonSerializer.Deserialize<JsonElement>(json, SystemTextJsonMessageSerializer.Options);
            return body.ValueKind == JsonValueKind.Object
                ? body
                : throw new SerializationException("The body is not a JSON object.");
        }
        catch (JsonException e)
        {
            throw new SerializationException("The body is no valid JSON.", e);
        }
    }

    /// <summary>Gives a command the id that came with its message where its body has none, and checks it.</summary>
    /// <param name="contract">What the body has to be.</param>
    /// <param name="body">An object.</param>
    /// <param name="messageId">The message's own id; null where it has none.</param>
    /// <param name="around">What is wrong with that which the body came in.</param>
    /// <returns>The body, to be read.</returns>
    /// <exception cref="SchemaViolationException">A command breaks its schema.</exception>
    /// <exception cref="SerializationException">A message between workers breaks its schema: a bug, or mixed versions.</exception>
    public static JsonElement Check(
        MessageContract contract,
        JsonElement body,
        Guid? messageId,
        params IReadOnlyList<string> around
    )
    {
        if (contract.Kind == MessageKind.Event)
            return body; // No worker consumes it; it ends among the messages that nobody wanted.
        if (contract.IsCommand && messageId is { } id && IdIn(body, CommandId) is null && MayBeGiven(body))
            body = WithCommandId(body, id);
        IReadOnlyList<string> violations = [.. around, .. contract.Check(body)];
        if (violations.Count == 0)
            return body;
        throw contract.IsCommand
            ? new SchemaViolationException(
                IdIn(body, CommandId) ?? messageId,
                IdIn(body, "projectId"),
                contract.Name,
                violations
            )
            : new SerializationException(string.Join(' ', violations));
    }

    /// <summary>As MassTransit's consumers read it, for one type of message alone.</summary>
    public static ConsumeContext Open(ReceiveContext delivery, Type type, JsonElement body, ContentType contentType)
    {
        var message = new RawMessageContext(delivery.TransportHeaders, delivery.InputAddress, Raw);
        var serializer = new SystemTextJsonRawSerializerContext(
            SystemTextJsonMessageSerializer.Instance,
            SystemTextJsonMessageSerializer.Options,
            contentType,
            message,
            [MessageUrn.ForTypeString(type)],
            Raw,
            body
        );
        return new BodyConsumeContext(delivery, serializer);
    }

    // All zeros are what a sender leaves who never set it; anything else that is no id is a mistake to be told.
    private static bool MayBeGiven(JsonElement body) =>
        !body.TryGetProperty(CommandId, out var own)
        || own.ValueKind == JsonValueKind.Null
        || (own.ValueKind == JsonValueKind.String && own.TryGetGuid(out var id) && id == Guid.Empty);

    private static Guid? IdIn(JsonElement body, string property) =>
        body.TryGetProperty(property, out var own)
        && own.ValueKind == JsonValueKind.String
        && own.TryGetGuid(out var id)
        && id != Guid.Empty
            ? id
            : null;

    private static JsonElement WithCommandId(JsonElement body, Guid id)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            json.WriteString(CommandId, id);
            foreach (var property in body.EnumerateObject().Where(x => !x.NameEquals(CommandId)))
                property.WriteTo(json);
            json.WriteEndObject();
        }

        return Parse(bytes.WrittenSpan);
    }
}
