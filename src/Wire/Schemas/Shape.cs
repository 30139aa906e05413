using System.Text.Json;
using System.Text.Json.Nodes;

namespace Pipeline.Wire.Schemas;

/// <summary>
/// What a JSON value has to look like. The published schema and the check of what comes in are two readings of the same
/// shape, so that neither can say what the other does not.
/// </summary>
/// <remarks>Keywords: JSON Schema draft 2020-12, "Validation" (draft-bhutton-json-schema-validation-01).</remarks>
internal abstract class Shape
{
    /// <summary>Readers differ in which of two properties of one name counts (RFC 8259, section 4): neither does.</summary>
    protected const string Twice = "is named twice.";

    /// <summary>JSON Schema's name of the type.</summary>
    protected abstract string TypeName { get; }

    /// <summary>Null is a value of it, too.</summary>
    public bool IsNullable { get; init; }

    /// <summary>For people; null where the contract says nothing.</summary>
    public string? Description { get; init; }

    /// <summary>What counts where the property is left out; null where it is required or has no such value.</summary>
    public object? Default { get; init; }

    /// <summary>As a schema, without what only the root of a document has.</summary>
    public JsonObject ToSchema()
    {
        var schema = new JsonObject { ["type"] = IsNullable ? new JsonArray(TypeName, "null") : TypeName };
        if (Description is not null)
            schema["description"] = Description;
        WriteKeywords(schema);
        if (Default is not null)
            schema["default"] = JsonSerializer.SerializeToNode(Default);
        return schema;
    }

    /// <summary>Adds every rule that the value breaks.</summary>
    public void Check(JsonElement value, Violations violations)
    {
        if (value.ValueKind != JsonValueKind.Null)
            CheckValue(value, violations);
        else if (!IsNullable)
            violations.Add("must not be null.");
    }

    protected abstract void WriteKeywords(JsonObject schema);

    protected abstract void CheckValue(JsonElement value, Violations violations);
}
