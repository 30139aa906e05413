using System.Buffers;
using System.Runtime.Serialization;
using System.Text.Json;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.Workers.Messaging;

/// <summary>From the bytes of a delivery to a body that fits its schema.</summary>
internal static class IncomingBody
{
    private const string CommandId = "commandId";

    // What a sender may say in content_encoding although the body is plain: common clients put the character set there.
    private static readonly string[] Compressions = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress"];

    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    /// <summary>
    /// How bodies are read. As JSON Schema has it, another spelling of a property is another property, and is ignored.
    /// </summary>
    public static JsonSerializerOptions Options { get; } =
        new(WireJson.Options) { PropertyNameCaseInsensitive = false, AllowTrailingCommas = true };

    /// <exception cref="SerializationException">It is empty, compressed, larger than the limit, or no JSON object.</exception>
    public static JsonElement Parse(ReadOnlySpan<byte> json, int limitBytes, string? contentEncoding = null)
    {
        if (Compressions.Contains(contentEncoding, StringComparer.OrdinalIgnoreCase))
            throw new SerializationException(
                $"content_encoding: '{contentEncoding}' is not taken. Send the body uncompressed."
            );
        if (json.Length == 0)
            throw new SerializationException("The body is empty.");
        if (json.Length > limitBytes)
            throw new SerializationException($"The body has {json.Length} bytes; the limit is {limitBytes}.");
        return Parse(json);
    }

    /// <summary>Reads JSON behind at most one byte order mark, which a reader may skip (RFC 8259, section 8.1).</summary>
    /// <exception cref="SerializationException">It is no JSON object.</exception>
    public static JsonElement Parse(ReadOnlySpan<byte> json)
    {
        if (json.StartsWith(ByteOrderMark))
            json = json[ByteOrderMark.Length..];
        try
        {
            var body = JsonSerializer.Deserialize<JsonElement>(json, Options);
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

    /// <summary>Checks a message that its sender has named.</summary>
    /// <param name="delivery">The message.</param>
    /// <param name="contract">What the body has to be.</param>
    /// <param name="body">An object.</param>
    /// <param name="messageId">The message's own id; null where it has none.</param>
    /// <param name="around">What is wrong with that which the body came in.</param>
    /// <inheritdoc cref="Check" path="/exception"/>
    /// <exception cref="SerializationException">It came through the exchange of another message, or through one that is not the
    /// pipeline's; or its sender may not send it.</exception>
    public static IncomingMessage Accept(
        Delivery delivery,
        MessageContract contract,
        JsonElement body,
        Guid? messageId,
        params IReadOnlyList<string> around
    )
    {
        // The broker's rights are by exchange: by another name, a foreign service could send what is not for it. It may
        // also bind an exchange of its own to one that it may write to, so an unknown exchange is refused as well.
        var isMessages = MessageCatalog.TryFind(delivery.Exchange, out _);
        if (delivery.Exchange != contract.Name && (isMessages || !delivery.IsAddressedToQueue))
            throw new SerializationException(
                $"'{contract.Name}' came through the exchange '{delivery.Exchange}': it must be published to its own."
            );
        if (SenderRoles.Refuse(contract, delivery) is { } refusal)
            throw new SerializationException(refusal);
        return new IncomingMessage(contract, Check(contract, body, messageId, around));
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
