using System.Text.Json;
using Pipeline.Wire;

namespace Pipeline.Workers.Urls.Strategies;

/// <summary>What a server says of an error, short enough to be stored with every picture.</summary>
internal static class ReasonText
{
    private const int Limit = 300;

    /// <summary>The <c>message</c> of a JSON object, or the text itself.</summary>
    public static string Of(string body)
    {
        var text = Message(body) ?? body;
        text = string.Concat(text.Select(x => char.IsControl(x) ? ' ' : x)).Trim();
        return ShortText.Cut(text, Limit);
    }

    private static string? Message(string body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return
                json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.TryGetProperty("message", out var message)
                && message.ValueKind == JsonValueKind.String
                ? message.GetString()
                : null;
        }
        catch (JsonException)
        {
            return null; // No JSON: the text is all there is.
        }
    }
}
