using System.Text.Json;
using System.Text.Json.Nodes;

namespace Pipeline.Wire.Schemas;

/// <summary>A map of texts.</summary>
/// <param name="name">Each name.</param>
/// <param name="value">Each value.</param>
internal sealed class MapShape(TextShape name, Shape value) : Shape
{
    /// <summary>Null for no limit of its own.</summary>
    public int? CountMax { get; init; }

    protected override string TypeName => "object";

    protected override void WriteKeywords(JsonObject schema)
    {
        if (CountMax is not null)
            schema["maxProperties"] = CountMax;
        schema["propertyNames"] = name.ToSchema();
        schema["additionalProperties"] = value.ToSchema();
    }

    protected override void CheckValue(JsonElement element, Violations violations)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            violations.Add("must be an object.");
            return;
        }

        if (element.GetPropertyCount() > CountMax)
        {
            violations.Add($"must be at most {CountMax}.");
            return;
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var property in element.EnumerateObject())
        {
            if (violations.IsFull)
                return;
            violations.Enter(property.Name.Length <= 60 ? property.Name : ShortText.Cut(property.Name, 60) + "…");
            name.CheckText(property.Name, violations);
            if (!names.Add(property.Name))
                violations.Add(Twice);
            value.Check(property.Value, violations);
            violations.Leave();
        }
    }
}

/// <summary>One property of an object.</summary>
/// <param name="Name">In camelCase.</param>
/// <param name="IsRequired">False where it may be left out.</param>
/// <param name="Shape">Its value.</param>
internal sealed record PropertyShape(string Name, bool IsRequired, Shape Shape);

/// <summary>An object with known properties. Others are let pass and never read, so that contracts can grow.</summary>
internal sealed class ObjectShape(IReadOnlyList<PropertyShape> properties) : Shape
{
    public IReadOnlyList<PropertyShape> Properties => properties;

    protected override string TypeName => "object";

    protected override void WriteKeywords(JsonObject schema)
    {
        var required = properties.Where(x => x.IsRequired).Select(x => (JsonNode?)JsonValue.Create(x.Name)).ToArray();
        if (required.Length > 0)
            schema["required"] = new JsonArray(required);
        schema["properties"] = new JsonObject(
            properties.Select(x => KeyValuePair.Create(x.Name, (JsonNode?)x.Shape.ToSchema()))
        );
        schema["additionalProperties"] = true;
    }

    protected override void CheckValue(JsonElement value, Violations violations)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            violations.Add("must be an object.");
            return;
        }

        var found = new JsonElement?[properties.Count];
        foreach (var property in value.EnumerateObject())
        {
            var index = IndexOf(property);
            if (index < 0)
                continue;
            if (found[index] is not null)
                violations.AddAt(properties[index].Name, Twice);
            found[index] = property.Value;
        }

        for (var i = 0; i < found.Length; i++)
        {
            if (violations.IsFull)
                return;
            if (found[i] is { } element)
            {
                violations.Enter(properties[i].Name);
                properties[i].Shape.Check(element, violations);
                violations.Leave();
            }
            else if (properties[i].IsRequired)
                violations.AddAt(properties[i].Name, "is required.");
        }
    }

    private int IndexOf(JsonProperty property)
    {
        for (var i = 0; i < properties.Count; i++)
        {
            if (property.NameEquals(properties[i].Name))
                return i;
        }

        return -1;
    }
}
