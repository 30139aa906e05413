using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Pipeline.Wire.Schemas;

/// <summary>A text.</summary>
internal sealed class TextShape : Shape
{
    // Contracts' patterns take linear time; the bound is for one that would not.
    private static readonly TimeSpan MatchLimit = TimeSpan.FromSeconds(1);

    private readonly Regex? _pattern;

    /// <param name="pattern">Anchored at both ends; null for any text.</param>
    public TextShape(string? pattern = null)
    {
        if (pattern is not null)
            _pattern = new Regex(pattern, RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, MatchLimit);
    }

    /// <summary>Code points.</summary>
    public int LengthMin { get; init; }

    /// <summary>Code points; null for no limit of its own.</summary>
    public int? LengthMax { get; init; }

    /// <summary>The pattern in words.</summary>
    public string? PatternRule { get; init; }

    /// <summary>The only values; null for any.</summary>
    public IReadOnlyList<string>? Allowed { get; init; }

    /// <summary>JSON Schema's name for what the text is, for people and tools; the check does not ask for it.</summary>
    public string? Format { get; init; }

    /// <summary>True where nothing may show the text again.</summary>
    public bool IsSecret { get; init; }

    protected override string TypeName => "string";

    protected override void WriteKeywords(JsonObject schema)
    {
        if (IsSecret)
            schema["writeOnly"] = true;
        if (Format is not null)
            schema["format"] = Format;
        if (LengthMin > 0)
            schema["minLength"] = LengthMin;
        if (LengthMax is not null)
            schema["maxLength"] = LengthMax;
        if (_pattern is not null)
            schema["pattern"] = _pattern.ToString();
        if (Allowed is not null)
            schema["enum"] = new JsonArray([.. Allowed.Select(x => JsonValue.Create(x)), .. Nulls()]);
    }

    protected override void CheckValue(JsonElement value, Violations violations)
    {
        if (value.ValueKind != JsonValueKind.String)
            violations.Add("must be a string.");
        else if (!TryRead(value, out var text))
            violations.Add("must be valid Unicode text.");
        else
            CheckText(text, violations);
    }

    /// <summary>The same for the name of a property.</summary>
    public void CheckText(string text, Violations violations)
    {
        if (Allowed is not null && !Allowed.Contains(text, StringComparer.Ordinal))
            violations.Add($"must be one of {string.Join(", ", Allowed)}.");
        if (IsTooShort(text) || IsTooLong(text))
            violations.Add(LengthRule);
        // As a whole: in .NET "$" also stands before a last line feed.
        if (_pattern is not null && !(_pattern.Match(text) is { Success: true } match && match.Length == text.Length))
            violations.Add(PatternRule ?? $"must match {_pattern}.");
    }

    private string LengthRule =>
        LengthMax is null ? $"must have at least {LengthMin} characters."
        : LengthMin > 0 ? $"must have {LengthMin} to {LengthMax} characters."
        : $"must have at most {LengthMax} characters.";

    private IEnumerable<JsonNode?> Nulls() => IsNullable ? [null] : [];

    // A text has at most as many code points as characters, and at least half as many: most need no counting.
    private bool IsTooShort(string text) => text.Length < LengthMin * 2 && CodePoints(text) < LengthMin;

    private bool IsTooLong(string text) => text.Length > LengthMax && CodePoints(text) > LengthMax;

    private static int CodePoints(string text) => text.Length - text.Count(char.IsLowSurrogate);

    // An escape such as \ud800 alone is JSON, but no text.
    private static bool TryRead(JsonElement value, out string text)
    {
        try
        {
            text = value.GetString()!;
            return true;
        }
        catch (InvalidOperationException)
        {
            text = "";
            return false;
        }
    }
}

/// <summary>A UUID with hyphens (RFC 9562).</summary>
internal sealed class IdShape : Shape
{
    /// <summary>False where all zeros say that a sender forgot it.</summary>
    public bool MayBeZero { get; init; }

    protected override string TypeName => "string";

    protected override void WriteKeywords(JsonObject schema)
    {
        schema["format"] = "uuid";
        if (!MayBeZero)
            schema["not"] = new JsonObject { ["const"] = Guid.Empty.ToString() };
    }

    protected override void CheckValue(JsonElement value, Violations violations)
    {
        if (value.ValueKind != JsonValueKind.String || !value.TryGetGuid(out var id))
            violations.Add("must be a UUID, such as 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11.");
        else if (id == Guid.Empty && !MayBeZero)
            violations.Add("must not be empty or all zeros.");
    }
}

/// <summary>A moment with its offset from UTC (RFC 3339).</summary>
internal sealed partial class MomentShape : Shape
{
    protected override string TypeName => "string";

    protected override void WriteKeywords(JsonObject schema) => schema["format"] = "date-time";

    protected override void CheckValue(JsonElement value, Violations violations)
    {
        // The offset is asked for: without it .NET would take the worker's own time zone.
        if (
            value.ValueKind != JsonValueKind.String
            || !value.TryGetDateTimeOffset(out _)
            || !WithOffset().IsMatch(value.GetString()!)
        )
            violations.Add("must be a date and time with offset, such as 2026-01-31T12:00:00Z (RFC 3339).");
    }

    [GeneratedRegex(
        "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d[^Z+-]*(Z|[+-]\\d\\d:\\d\\d)$",
        RegexOptions.ExplicitCapture,
        1000
    )]
    private static partial Regex WithOffset();
}

/// <summary>A span of time as .NET writes it, <c>[d.]hh:mm:ss[.fffffff]</c>; in internal messages alone.</summary>
internal sealed class SpanShape : Shape
{
    protected override string TypeName => "string";

    protected override void WriteKeywords(JsonObject schema) =>
        schema["pattern"] = @"^-?(\d+\.)?\d\d:\d\d:\d\d(\.\d{1,7})?$";

    protected override void CheckValue(JsonElement value, Violations violations)
    {
        if (
            value.ValueKind != JsonValueKind.String
            || !TimeSpan.TryParseExact(value.GetString(), "c", formatProvider: null, out _)
        )
            violations.Add("must be a span of time, such as 00:00:30.");
    }
}
