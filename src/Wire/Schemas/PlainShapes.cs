using System.Text.Json;
using System.Text.Json.Nodes;

namespace Pipeline.Wire.Schemas;

/// <summary>A whole number.</summary>
/// <param name="bits">32 or 64: what the readers of the pipeline hold.</param>
internal sealed class NumberShape(int bits) : Shape
{
    /// <summary>The least; null for the type's own.</summary>
    public long? Min { get; init; }

    /// <summary>The greatest; null for the type's own.</summary>
    public long? Max { get; init; }

    protected override string TypeName => "integer";

    protected override void WriteKeywords(JsonObject schema)
    {
        if (Min is null || Max is null)
            schema["format"] = $"int{bits}";
        if (Min is not null)
            schema["minimum"] = Min;
        if (Max is not null)
            schema["maximum"] = Max;
    }

    protected override void CheckValue(JsonElement value, Violations violations)
    {
        if (value.ValueKind != JsonValueKind.Number || !TryRead(value, out var number))
            violations.Add($"must be a whole number of {bits} bits, without fraction or exponent.");
        else if (number < Min || number > Max)
            violations.Add(Max is null ? $"must be {Min} or more." : $"must be {Min} to {Max}.");
    }

    private bool TryRead(JsonElement value, out long number) =>
        value.TryGetInt64(out number) && (bits == 64 || number is >= int.MinValue and <= int.MaxValue);
}

/// <summary>True or false.</summary>
internal sealed class FlagShape : Shape
{
    protected override string TypeName => "boolean";

    protected override void WriteKeywords(JsonObject schema) { }

    protected override void CheckValue(JsonElement value, Violations violations)
    {
        if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            violations.Add("must be true or false.");
    }
}

/// <summary>A list.</summary>
/// <param name="items">Each of its values.</param>
internal sealed class ListShape(Shape items) : Shape
{
    public int CountMin { get; init; }

    /// <summary>Null for no limit of its own.</summary>
    public int? CountMax { get; init; }

    protected override string TypeName => "array";

    protected override void WriteKeywords(JsonObject schema)
    {
        if (CountMin > 0)
            schema["minItems"] = CountMin;
        if (CountMax is not null)
            schema["maxItems"] = CountMax;
        schema["items"] = items.ToSchema();
    }

    protected override void CheckValue(JsonElement value, Violations violations)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            violations.Add("must be an array.");
            return;
        }

        var count = value.GetArrayLength();
        if (count < CountMin || count > CountMax)
        {
            violations.Add(
                CountMax is null ? $"must hold {CountMin} or more." : $"must hold {CountMin} to {CountMax}."
            );
            return; // Its values are not worth reading.
        }

        var index = 0;
        foreach (var item in value.EnumerateArray())
        {
            if (violations.IsFull)
                return;
            violations.Enter(index++);
            items.Check(item, violations);
            violations.Leave();
        }
    }
}
