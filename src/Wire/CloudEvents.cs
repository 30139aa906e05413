using System.Text.Json;

namespace Pipeline.Wire;

/// <summary>How events look on the wire.</summary>
public enum EventForm
{
    /// <summary>The event's JSON alone.</summary>
    Plain,

    /// <summary>The same body, with the attributes of a CloudEvent in the headers.</summary>
    Binary,

    /// <summary>A CloudEvent in JSON, with the event as its data.</summary>
    Structured,
}

/// <summary>
/// CloudEvents 1.0.2 over AMQP 0-9-1: the protocol binding for AMQP 1.0 (section 3), whose application properties are
/// the headers here, as RabbitMQ maps them; structured in the JSON event format.
/// </summary>
/// <remarks>
/// <c>type</c> is the message's name and <c>subject</c> the project's id. <c>source</c> and <c>id</c> together are
/// unique, as the specification wants it, because a message's id is: a repetition has the same.
/// </remarks>
public static class CloudEvents
{
    /// <summary>The structured mode's media type.</summary>
    public const string StructuredContentType = "application/cloudevents+json";

    /// <summary>The version of the specification that is spoken here.</summary>
    public const string SpecVersion = "1.0";

    /// <summary>Where the pipeline's events come from.</summary>
    public const string Source = "urn:pipeline:workers";

    /// <summary>
    /// Before each attribute's name in a header. Section 3.1.3.1 prefers the first for sending, and wants both to be
    /// understood.
    /// </summary>
    public static IReadOnlyList<string> Prefixes { get; } = ["cloudEvents_", "cloudEvents:"];

    /// <summary>An event in the form that is asked for; a command stays as it is.</summary>
    public static WireMessage Dress(WireMessage message, EventForm form) =>
        message.Mandatory
            ? message
            : form switch
            {
                EventForm.Binary => message with { Headers = Headers(message) },
                EventForm.Structured => message with
                {
                    Body = Structured(message),
                    ContentType = $"{StructuredContentType}; charset=UTF-8",
                },
                _ => message,
            };

    private static Dictionary<string, object?> Headers(WireMessage message) =>
        Attributes(message).ToDictionary(x => Prefixes[0] + x.Name, object? (x) => x.Value, StringComparer.Ordinal);

    private static byte[] Structured(WireMessage message)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, new JsonWriterOptions { Encoder = WireJson.Options.Encoder }))
        {
            json.WriteStartObject();
            foreach (var (name, value) in Attributes(message))
                json.WriteString(name, value);
            json.WriteString("datacontenttype", WireJson.ContentType);
            json.WritePropertyName("data");
            json.WriteRawValue(message.Body.Span);
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }

    private static IEnumerable<(string Name, string Value)> Attributes(WireMessage message)
    {
        yield return ("specversion", SpecVersion);
        yield return ("id", message.MessageId.ToString("D"));
        yield return ("source", Source);
        yield return ("type", message.Exchange);
        if (message.RoutingKey.Length > 0)
            yield return ("subject", message.RoutingKey);
        // From the body, so that a repetition has the same bytes.
        using var body = JsonDocument.Parse(message.Body);
        if (body.RootElement.TryGetProperty("at", out var at) && at.GetString() is { } time)
            yield return ("time", time);
    }
}
