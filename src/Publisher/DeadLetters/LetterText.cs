using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Dead letters as people and programs read them.</summary>
internal static class LetterText
{
    // Where a CloudEvent has its data in Base64.
    private const string WrappedBytes = "data_base64";

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

    /// <summary>
    /// Indented where it is JSON, as it is where it is another text, and otherwise its length; without what the
    /// message's contract calls a secret.
    /// </summary>
    public static string BodyOf(DeadLetter letter)
    {
        var secrets = MessageCatalog.TryFind(letter.Type ?? "", out var contract) ? contract.Secrets : [];
        try
        {
            // Of names that stand twice only one would be hidden.
            var body = JsonNode.Parse(
                letter.Body.Span,
                documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = secrets.Count == 0 }
            );
            if (secrets.Count > 0)
                Hide(body, secrets);
            return body?.ToJsonString(Indented) ?? "null";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            var text = Encoding.UTF8.GetString(letter.Body.Span);
            return text.Contains('\uFFFD') || text.Contains('\0') ? $"({letter.Body.Length} bytes that are no text)"
                : secrets.Count > 0 ? $"({letter.Body.Length} bytes that may hold a secret)"
                : text;
        }
    }

    // At any depth: the message may be wrapped in an envelope or an event.
    private static void Hide(JsonNode? node, IReadOnlyList<string> secrets)
    {
        if (node is JsonArray list)
        {
            foreach (var item in list)
                Hide(item, secrets);
            return;
        }

        foreach (var (name, value) in (node as JsonObject)?.ToArray() ?? [])
        {
            if (name == WrappedBytes || secrets.Contains(name, StringComparer.Ordinal))
                node![name] = "(not shown)";
            else
                Hide(value, secrets);
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
