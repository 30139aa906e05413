using System.Text.Json;

namespace Pipeline.Publisher.Publishing;

/// <summary>What is wrong with a JSON text, and where, without the names of this program's types.</summary>
internal static class JsonErrors
{
    public static string Describe(JsonException error)
    {
        var place = error.LineNumber is { } line ? $"line {line + 1}, {error.Path ?? "$"}: " : "";
        var end = error.Message.IndexOf(" Path:", StringComparison.Ordinal);
        return error.Message.Contains("could not be converted", StringComparison.Ordinal)
            ? $"{place}the value has the wrong type."
            : place + (end > 0 ? error.Message[..end] : error.Message);
    }
}
