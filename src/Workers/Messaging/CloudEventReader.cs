using System.Text.Json;
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
    public static CloudEventAttributes? Of(Delivery delivery)
    {
        var prefix = CloudEvents.Prefixes.FirstOrDefault(x => delivery.Header(x + "specversion") is not null);
        return prefix is null
            ? null
            : new CloudEventAttributes(
                delivery.Header(prefix + "specversion"),
                delivery.Header(prefix + "id"),
                delivery.Header(prefix + "source"),
                delivery.Header(prefix + "type")
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
}

/// <summary>Makes a message of a CloudEvent.</summary>
internal static class CloudEventReader
{
    /// <param name="delivery">The message. Its id counts where the event's own is no UUID.</param>
    /// <param name="attributes">Of the event.</param>
    /// <param name="body">The event's data; null where it has none that could be a message.</param>
    public static IncomingMessage Read(Delivery delivery, CloudEventAttributes attributes, JsonElement? body)
    {
        var id = Guid.TryParse(attributes.Id, out var own) ? own : delivery.MessageId;
        if (attributes.Type is null || !MessageCatalog.TryFind(attributes.Type, out var contract))
        {
            // The command that its exchange takes is what its sender meant.
            throw new SchemaViolationException(
                id,
                projectId: null,
                delivery.Exchange,
                [$"type: '{attributes.Type}' is no message of this pipeline."]
            );
        }

        if (body is not { } data)
            throw new SchemaViolationException(id, projectId: null, contract.Name, ["data: must be a JSON object."]);
        return IncomingBody.Accept(delivery, contract, data, id, [.. attributes.Violations()]);
    }

    /// <summary>
    /// The data of an event in structured mode (JSON event format 1.0.2, section 3.1.1): JSON, or any data as Base64.
    /// </summary>
    /// <returns>Null where there is no JSON object.</returns>
    public static JsonElement? DataOf(JsonElement json)
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
