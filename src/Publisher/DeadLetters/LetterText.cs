using System.Text;
using System.Text.Json;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Dead letters as people and programs read them.</summary>
internal static class LetterText
{
    private static readonly JsonSerializerOptions Indented = new(WireJson.Options) { WriteIndented = true };

    public static object Summary(DeadLetter x) =>
        new
        {
            queue = x.Queue,
            messageId = x.MessageId,
            type = x.Type,
            projectId = x.ProjectId,
            group = LetterGroup.IdOf(x),
            cause = x.Cause,
            reason = x.Reason,
            failedAt = x.FailedAt,
            replays = x.Replays,
        };

    /// <summary>Everything but the stack, sorted by name.</summary>
    public static SortedDictionary<string, object?> HeadersOf(DeadLetter letter) =>
        new(
            Headers
                .Of(letter.Properties)
                .Where(x => x.Key != Headers.StackTrace)
                .ToDictionary(x => x.Key, x => Plain(x.Value), StringComparer.Ordinal),
            StringComparer.Ordinal
        );

    /// <summary>Indented where it is JSON, as it is where it is another text, and otherwise its length.</summary>
    public static string BodyOf(DeadLetter letter)
    {
        try
        {
            return JsonSerializer.Serialize(JsonSerializer.Deserialize<JsonElement>(letter.Body.Span), Indented);
        }
        catch (JsonException)
        {
            var text = Encoding.UTF8.GetString(letter.Body.Span);
            return text.Contains('\uFFFD') || text.Contains('\0')
                ? $"({letter.Body.Length} bytes that are no text)"
                : text;
        }
    }

    /// <summary>A header's value in the terms of JSON.</summary>
    private static object? Plain(object? value) =>
        value switch
        {
            byte[] or AmqpTimestamp => Headers.TextOf(value),
            IDictionary<string, object?> table => table.ToDictionary(
                x => x.Key,
                x => Plain(x.Value),
                StringComparer.Ordinal
            ),
            System.Collections.IEnumerable list and not string => list.Cast<object?>().Select(Plain).ToArray(),
            _ => value,
        };
}
