using System.Text.Json;
using Pipeline.Contracts;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>
/// What a dead letter is, read out of whatever it is wrapped in: nothing, MassTransit's envelope or a CloudEvent. It
/// may be anything at all, and what cannot be read is null.
/// </summary>
internal sealed class LetterBody
{
    private const string EnvelopeType = "application/vnd.masstransit+json";

    private readonly IReadOnlyBasicProperties _properties;
    private readonly JsonElement? _root;
    private readonly bool _isEvent;

    public LetterBody(IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> body)
    {
        (_properties, _root) = (properties, Parse(body));
        IsEnvelope = Is(EnvelopeType);
        _isEvent = Is(CloudEvents.StructuredContentType);
        Message =
            IsEnvelope ? Read(_root, x => (JsonElement?)x.GetProperty("message"))
            : _isEvent ? DataOf(_root)
            : _root;
        Type = ReadType();
        IsCommand =
            Type is not null
            && MessageCatalog.TryFind(Type, out var contract)
            && (contract.IsCommand || typeof(ILaneCommand).IsAssignableFrom(contract.Type));
        CommandId = (IsCommand ? ReadCommandId() : null) ?? Id(properties.MessageId);
    }

    public bool IsEnvelope { get; }

    /// <summary>The message itself.</summary>
    public JsonElement? Message { get; }

    /// <summary>Its name: what the workers read, or else what the sender said, or else the exchange that it came through.</summary>
    public string? Type { get; }

    /// <summary>True for what ends in a receipt of its own.</summary>
    public bool IsCommand { get; }

    /// <summary>The id under which a command has its receipt; of another message its own.</summary>
    public Guid? CommandId { get; }

    public Guid? ProjectId => Id(TextIn(Message, "projectId"));

    private string? ReadType()
    {
        var death = Headers.NewestDeath(_properties);
        string?[] named =
        [
            OfUrn(Headers.Text(_properties, Headers.FaultMessageType)),
            Attribute("type"),
            OfUrn(Headers.Text(_properties, "MT-MessageType")),
            _properties.Type,
            .. IsEnvelope ? EnvelopeTypes() : [],
            Headers.Text(_properties, WireNames.ExchangeHeader),
            Headers.TextOf(death?.TryGetValue("exchange", out var exchange) == true ? exchange : null),
        ];
        return Array.Find(named, x => x is not null && MessageCatalog.TryFind(x, out _))
            ?? Array.Find(named, x => !string.IsNullOrEmpty(x));
    }

    // In the order of the workers' own reading.
    private Guid? ReadCommandId() =>
        Id(TextIn(Message, "commandId")) ?? Id(Attribute("id")) ?? (IsEnvelope ? Id(TextIn(_root, "messageId")) : null);

    /// <summary>Of a CloudEvent, binary or structured.</summary>
    private string? Attribute(string name) =>
        CloudEvents.Prefixes.Select(x => Headers.Text(_properties, x + name)).FirstOrDefault(x => x is not null)
        ?? (_isEvent ? TextIn(_root, name) : null);

    private string?[] EnvelopeTypes() =>
        Read(_root, x => x.GetProperty("messageType").EnumerateArray().Select(y => OfUrn($"{y}")).ToArray()) ?? [];

    private static JsonElement? DataOf(JsonElement? root) =>
        TextIn(root, "data_base64") is null
            ? Read(root, x => (JsonElement?)x.GetProperty("data"))
            : Parse(Read(root, x => x.GetProperty("data_base64").GetBytesFromBase64()));

    // urn:message:Pipeline.Contracts.Saving:SaveImage
    private static string? OfUrn(string? urn) =>
        urn is null
            ? null
            : JsonNamingPolicy.KebabCaseLower.ConvertName(urn[(urn.LastIndexOfAny(['.', ':', '+']) + 1)..]);

    private static Guid? Id(string? text) => Guid.TryParse(text, out var id) && id != Guid.Empty ? id : null;

    private static string? TextIn(JsonElement? json, string property) =>
        Read(json, x => x.GetProperty(property).GetString());

    private bool Is(string type) =>
        _properties.ContentType?.StartsWith(type, StringComparison.OrdinalIgnoreCase) == true;

    private static JsonElement? Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            return JsonSerializer.Deserialize<JsonElement>(body.Span);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static T? Read<T>(JsonElement? json, Func<JsonElement, T?> read)
    {
        try
        {
            return json is { } value ? read(value) : default;
        }
        catch (Exception e) when (e is InvalidOperationException or KeyNotFoundException or FormatException)
        {
            // Another kind of value than is looked for, or an escape such as \ud800 that is no character.
            return default;
        }
    }
}
