using System.Text;
using System.Text.Json;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Erasing;

/// <summary>
/// Knows the messages that are about a project: by their routing key, or by an id in their body, in whatever form that
/// is. A body that is no JSON is about it where its text has the id.
/// </summary>
/// <param name="names">The project's id, and those of its generations.</param>
internal sealed class ErasedMessages(IReadOnlySet<Guid> names)
{
    private static readonly string[] NamingProperties = ["projectId", "generationId"];

    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    public bool IsAbout(Delivery delivery) => IsName(delivery.RoutingKey) || IsAbout(delivery.Body);

    private bool IsAbout(ReadOnlyMemory<byte> body)
    {
        try
        {
            var json = body.Span.StartsWith(ByteOrderMark) ? body[ByteOrderMark.Length..] : body;
            using var document = JsonDocument.Parse(json);
            return HasName(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: an escape such as \ud800 alone is JSON, but no text.
            var text = Encoding.UTF8.GetString(body.Span);
            return names.Any(x => text.Contains(x.ToString("D"), StringComparison.OrdinalIgnoreCase));
        }
    }

    private bool HasName(JsonElement element) =>
        element.ValueKind switch
        {
            JsonValueKind.Object => element.EnumerateObject().Any(x => IsNaming(x) || HasName(x.Value)),
            JsonValueKind.Array => element.EnumerateArray().Any(HasName),
            _ => false,
        };

    private bool IsNaming(JsonProperty property) =>
        property.Value.ValueKind == JsonValueKind.String
        && (
            property.Name == "data_base64" // A CloudEvent's data.
                ? property.Value.TryGetBytesFromBase64(out var data) && IsAbout(data)
                : NamingProperties.Contains(property.Name, StringComparer.OrdinalIgnoreCase)
                    && IsName(property.Value.GetString())
        );

    private bool IsName(string? text) => Guid.TryParse(text, out var id) && names.Contains(id);
}
