using System.Buffers;
using System.Net.Mime;
using System.Runtime.Serialization;
using System.Text.Json;
using MassTransit;
using MassTransit.RabbitMqTransport;
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
    private static JsonElement Check(
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

    /// <summary>A message that its sender has named: checked, and as MassTransit's consumers read it.</summary>
    /// <inheritdoc cref="Check"/>
    /// <param name="delivery">The message.</param>
    /// <param name="contentType">Of the body.</param>
    /// <exception cref="SerializationException">It came through the exchange of another message.</exception>
    public static ConsumeContext Open(
        ReceiveContext delivery,
        MessageContract contract,
        JsonElement body,
        Guid? messageId,
        ContentType contentType,
        params IReadOnlyList<string> around
    )
    {
        // The broker's rights are by exchange: by another name, a foreign service could send what is not for it.
        // Whatever is no message's exchange leads into queues, and is for workers and replays alone.
        var exchange = delivery.GetPayload<RabbitMqBasicConsumeContext>().Exchange;
        if (exchange != contract.Name && MessageCatalog.TryFind(exchange, out _))
            throw new SerializationException(
                $"'{contract.Name}' came through the exchange '{exchange}': it must be published to its own."
            );
        return Open(delivery, contract.Type, Check(contract, body, messageId, around), contentType);
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
        return new UnansweredConsumeContext(delivery, serializer);
    }

    /// <summary>The text of a property; null where there is none that can be read.</summary>
    public static string? TextIn(JsonElement body, string property) =>
        Readable(() =>
            body.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.String
                ? value.GetString()
                : null
        );

    /// <summary>The object in a property; null where there is none.</summary>
    public static JsonElement? ObjectIn(JsonElement body, string property) =>
        Readable<JsonElement?>(() =>
            body.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.Object ? value : null
        );

    /// <summary>The texts of a list in a property; none where it cannot be read.</summary>
    public static string[] TextsIn(JsonElement body, string property) =>
        Readable(() =>
            body.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.Array
                ? value.EnumerateArray().Select(x => x.ToString()).ToArray()
                : []
        ) ?? [];

    // All zeros are what a sender leaves who never set it; anything else that is no id is a mistake to be told.
    private static bool MayBeGiven(JsonElement body) =>
        Readable(() =>
            !body.TryGetProperty(CommandId, out var own)
            || own.ValueKind == JsonValueKind.Null
            || (own.ValueKind == JsonValueKind.String && own.TryGetGuid(out var id) && id == Guid.Empty)
        );

    // An escape such as \ud800 alone is JSON, but no text: no such value can be read, and no such name compared.
    private static T? Readable<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException)
        {
            return default;
        }
    }

    private static Guid? IdIn(JsonElement body, string property) =>
        Guid.TryParseExact(TextIn(body, property), "D", out var id) && id != Guid.Empty ? id : null;

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

/// <summary>Nobody is answered at an address of the sender's choosing.</summary>
/// <remarks>
/// MassTransit sends the fault of a message to whatever exchange its headers name (BaseConsumeContext,
/// <c>GenerateFault</c>), with the worker's rights. Here a receipt is the answer.
/// </remarks>
internal sealed class UnansweredConsumeContext(ReceiveContext delivery, SerializerContext body)
    : BodyConsumeContext(delivery, body)
{
    // MassTransit declares neither as null, and takes null for none.
    public override Uri ResponseAddress => null!;

    public override Uri FaultAddress => null!;
}
