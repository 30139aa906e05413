using System.Text.Json;
using System.Text.Json.Nodes;

namespace Pipeline.Wire.Schemas;

/// <summary>What a message is for.</summary>
public enum MessageKind
{
    /// <summary>Another service asks for something that is written in a project's order.</summary>
    LaneCommand,

    /// <summary>Another service asks for something.</summary>
    Command,

    /// <summary>The pipeline tells what has happened.</summary>
    Event,

    /// <summary>The workers' own; no other service may send it, and its shape may change at any time.</summary>
    Internal,
}

/// <summary>One message of the contracts: its name, its kind and what its body has to look like.</summary>
public sealed class MessageContract
{
    private readonly ObjectShape _shape;

    internal MessageContract(Type type, MessageKind kind, ContractDocs docs, JsonNode? example)
    {
        (Type, Kind, Example) = (type, kind, example);
        (Summary, Remarks) = (WithoutKind(docs.Summary(type)), docs.Remarks(type));
        _shape = new ShapeReader(docs, IsCommand).ReadRecord(type);
    }

    /// <summary>The record.</summary>
    public Type Type { get; }

    /// <summary>Its exchange, AMQP <c>type</c> and CloudEvents <c>type</c>.</summary>
    public string Name => WireNames.ExchangeOf(Type);

    /// <summary>What it is for.</summary>
    public MessageKind Kind { get; }

    /// <summary>A command that other services may send; it ends in a receipt.</summary>
    public bool IsCommand => Kind is MessageKind.Command or MessageKind.LaneCommand;

    /// <summary>The contract's summary, without the kind that it begins with.</summary>
    public string Summary { get; }

    /// <summary>The contract's remarks; null where it has none.</summary>
    public string? Remarks { get; }

    /// <summary>A body, from docs/messages.md; null where that page has none.</summary>
    public JsonNode? Example { get; }

    /// <summary>Names of the properties that a body must have.</summary>
    public IReadOnlyList<string> Required => [.. _shape.Properties.Where(x => x.IsRequired).Select(x => x.Name)];

    /// <summary>Whether a body must have a property.</summary>
    public bool Requires(string property) => Required.Contains(property, StringComparer.Ordinal);

    /// <summary>Names of the properties whose values nothing may show.</summary>
    public IReadOnlyList<string> Secrets =>
        [.. _shape.Properties.Where(x => x.Shape is TextShape { IsSecret: true }).Select(x => x.Name)];

    /// <summary>The body's schema, in JSON Schema draft 2020-12.</summary>
    public JsonObject Schema()
    {
        var schema = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["$id"] = $"urn:pipeline:message:{Name}",
            ["title"] = Name,
            ["description"] = Summary,
        };
        if (Kind == MessageKind.Internal)
            schema["x-internal"] = true;
        foreach (var (keyword, value) in _shape.ToSchema().ToArray())
            schema[keyword] = value?.DeepClone();
        if (Example is not null)
            schema["examples"] = new JsonArray(Example.DeepClone());
        return schema;
    }

    /// <summary>Every rule of the schema that a body breaks, each with its path, up to a bound.</summary>
    /// <returns>Sentences such as <c>slot: must be 0 to 9999.</c>; none for a body that fits.</returns>
    public IReadOnlyList<string> Check(JsonElement body)
    {
        var violations = new Violations();
        try
        {
            _shape.Check(body, violations);
        }
        catch (InvalidOperationException)
        {
            // A property's name has an escape such as \ud800 alone, which is JSON, but no text.
            violations.Add("must be valid Unicode text.");
        }

        return violations.Found;
    }

    /// <summary>The same for a message that is made here.</summary>
    public IReadOnlyList<string> Check(object message) =>
        Check(JsonSerializer.SerializeToElement(message, Type, WireJson.Options));

    private static string WithoutKind(string summary)
    {
        var text = summary[(summary.IndexOf(':', StringComparison.Ordinal) + 1)..].TrimStart();
        return string.Concat(char.ToUpperInvariant(text[0]), text[1..]);
    }
}
