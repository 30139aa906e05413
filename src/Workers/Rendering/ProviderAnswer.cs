using System.Text.Json;
using Microsoft.Extensions.AI;
using Pipeline.Contracts.Generation;

namespace Pipeline.Workers.Rendering;

/// <summary>Reads <c>{"data":[{"b64_json"|"url"}]}</c> or <c>{"error":{…}}</c>, whatever the status promised.</summary>
internal static class ProviderAnswer
{
    // The bytes are sniffed later; what the provider calls them decides nothing.
    private const string SomeImage = "image/*";

    /// <exception cref="NoPictureException">It is an error, or no answer of this API at all.</exception>
    public static AIContent Read(int status, ReadOnlyMemory<byte> body, TimeSpan? retryAfter)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            var root = json.RootElement;
            if (Member(root, "error") is { ValueKind: not JsonValueKind.Null } error)
                throw Failed(ErrorOf(status, error, retryAfter));
            if (status is >= 200 and < 300)
                return Picture(root);
        }
        catch (JsonException)
        {
            // A page of some gateway; its status says what there is to say.
        }

        if (status is < 200 or >= 300)
            throw Failed(new ProviderError(status, null, null, null, retryAfter));
        throw NoPicture($"The provider answered {status} with what is not JSON.", RenderFailureKinds.Transient);
    }

    private static AIContent Picture(JsonElement root)
    {
        var data = Member(root, "data");
        if (data is not { ValueKind: JsonValueKind.Array } list || list.GetArrayLength() == 0)
            throw NoPicture("The provider answered 200 without a picture.", RenderFailureKinds.Transient);

        var first = list[0];
        if (Text(first, "b64_json") is not null)
        {
            return first.GetProperty("b64_json").TryGetBytesFromBase64(out var bytes)
                ? new DataContent(bytes, SomeImage)
                : throw NoPicture("The provider's picture is not base64.", RenderFailureKinds.Transient);
        }

        return Uri.TryCreate(Text(first, "url"), UriKind.Absolute, out var url)
            ? new UriContent(url, SomeImage)
            : throw NoPicture("The provider answered 200 without a picture.", RenderFailureKinds.Transient);
    }

    // Some servers have only a text where OpenAI has an object.
    private static ProviderError ErrorOf(int status, JsonElement error, TimeSpan? retryAfter) =>
        new(
            status,
            Text(error, "code"),
            Text(error, "type"),
            error.ValueKind == JsonValueKind.String ? error.GetString() : Text(error, "message"),
            retryAfter
        );

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var member) ? member : null;

    private static string? Text(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static NoPictureException Failed(ProviderError error) => new(ProviderErrors.Classify(error));

    private static NoPictureException NoPicture(string reason, string kind) => new(new RenderFailure(kind, reason));
}
