using System.Text.Encodings.Web;
using System.Text.Json;

namespace Pipeline.Wire;

/// <summary>The one way in which messages are written as JSON: camelCase, nulls written, UTF-8 left readable.</summary>
public static class WireJson
{
    /// <summary>A message's media type.</summary>
    public const string ContentType = "application/json";

    /// <summary>The settings; unknown members are ignored, so that a contract can grow.</summary>
    public static JsonSerializerOptions Options { get; } =
        new(JsonSerializerDefaults.Web)
        {
            // Bodies are never pasted into HTML, and operators read them in the management UI.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        };

    /// <summary>The body of a message.</summary>
    public static byte[] Write<T>(T message) => JsonSerializer.SerializeToUtf8Bytes(message, Options);

    /// <summary>The body of a message whose type is known at run time only; the same bytes.</summary>
    public static byte[] Write(object message, Type type) =>
        JsonSerializer.SerializeToUtf8Bytes(message, type, Options);
}
