using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.SystemTests.Harness;

/// <summary>A command as services in other languages and frameworks put it on the wire.</summary>
/// <remarks>The first two have no id but the body's own.</remarks>
internal enum ForeignForm
{
    PlainJson,
    PlainJsonOfMassTransit,
    Envelope,
    CloudEventInHeaders,
    CloudEventInHeadersWithColon,
    CloudEventInJson,
    CloudEventInBase64,
}

/// <summary>Writes the examples of docs/messages.md, under ids of the test's own, in any of the forms.</summary>
internal sealed partial class ForeignMessage
{
    private readonly MessageContract _contract;
    private readonly Guid _messageId = Guid.NewGuid();

    public ForeignMessage(MessageContract contract)
    {
        _contract = contract;
        // As text, since ids are part of object keys; and nobody is to be asked on the internet.
        var json = contract.Example!.ToJsonString(WireJson.Options).Replace("https://example.org", "http://127.0.0.1");
        foreach (var name in new[] { "commandId", "projectId", "imageId" })
        {
            if ((string?)contract.Example[name] is { } old)
                json = json.Replace(old, Guid.NewGuid().ToString());
        }

        Body = JsonNode.Parse(json)!.AsObject();
        (CommandId, ProjectId) = (Id("commandId") ?? Guid.NewGuid(), Id("projectId") ?? Guid.NewGuid());
    }

    /// <summary>To be changed before it is sent.</summary>
    public JsonObject Body { get; }

    public Guid CommandId { get; }

    /// <summary>The same for a command.</summary>
    public Guid MessageId => _contract.IsCommand ? CommandId : _messageId;

    public Guid ProjectId { get; }

    /// <summary>Another exchange than the message's own, for a sender that says otherwise what it is.</summary>
    public string? Exchange { get; init; }

    /// <summary>How long it is of use, as its sender says; null for ever.</summary>
    public TimeSpan? ExpiresIn { get; init; }

    public Task SendAsync(RawClient client, ForeignForm form) =>
        form switch
        {
            ForeignForm.PlainJson => PublishAsync(client, Body, WireJson.ContentType),
            ForeignForm.PlainJsonOfMassTransit => PublishAsync(
                client,
                Body,
                WireJson.ContentType,
                new(StringComparer.Ordinal) { ["MT-MessageType"] = Urn }
            ),
            ForeignForm.Envelope => PublishAsync(
                client,
                new JsonObject
                {
                    ["messageId"] = MessageId,
                    ["messageType"] = new JsonArray(Urn),
                    ["message"] = Body.DeepClone(),
                },
                "application/vnd.masstransit+json"
            ),
            ForeignForm.CloudEventInHeaders => PublishAsync(client, Body, WireJson.ContentType, Headers("_")),
            ForeignForm.CloudEventInHeadersWithColon => PublishAsync(client, Body, WireJson.ContentType, Headers(":")),
            ForeignForm.CloudEventInJson => PublishAsync(
                client,
                Event("data", Body.DeepClone()),
                "application/cloudevents+json; charset=UTF-8"
            ),
            _ => PublishAsync(
                client,
                Event("data_base64", Convert.ToBase64String(Encoding.UTF8.GetBytes(Body.ToJsonString()))),
                CloudEvents.StructuredContentType
            ),
        };

    /// <summary>What another writing of the same message has otherwise; null may be written or left out.</summary>
    public IEnumerable<string> Differences(JsonNode other) =>
        Body.Where(x => !JsonNode.DeepEquals(Plain(x.Value), Plain(other[x.Key])))
            .Select(x => $"{_contract.Name}.{x.Key}: {x.Value?.ToJsonString()} is {other[x.Key]?.ToJsonString()}");

    // UTC has two spellings (RFC 3339).
    private static JsonNode? Plain(JsonNode? node) =>
        node is null ? null : JsonNode.Parse(Utc().Replace(node.ToJsonString(WireJson.Options), "Z"));

    [GeneratedRegex(@"(?<=\dT\d\d:\d\d:[\d.]+)\+00:00(?="")", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Utc();

    private string Urn => $"urn:message:{_contract.Type.Namespace}:{_contract.Type.Name}";

    // Plain JSON is named by its exchange alone, or else by its type; a CloudEvent by its own attributes.
    private Task PublishAsync(
        RawClient client,
        JsonNode body,
        string contentType,
        Dictionary<string, object?>? headers = null
    ) =>
        client.PublishAsync(
            Exchange ?? _contract.Name,
            ProjectId.ToString(),
            body.ToJsonString(WireJson.Options),
            _contract.IsCommand ? null : MessageId.ToString(), // A command has its id in its body.
            Exchange is null ? null : _contract.Name,
            contentType,
            headers,
            ExpiresIn
        );

    private Dictionary<string, object?> Headers(string separator) =>
        Attributes()
            .ToDictionary(x => $"cloudEvents{separator}{x.Key}", object? (x) => x.Value, StringComparer.Ordinal);

    private JsonObject Event(string member, JsonNode? data)
    {
        var json = new JsonObject(Attributes().Select(x => KeyValuePair.Create(x.Key, (JsonNode?)x.Value)));
        json[member] = data;
        return json;
    }

    private Dictionary<string, string> Attributes() =>
        new(StringComparer.Ordinal)
        {
            ["specversion"] = "1.0",
            ["id"] = MessageId.ToString(),
            ["source"] = "/tests",
            ["type"] = _contract.Name,
        };

    private Guid? Id(string name) => (string?)Body[name] is { } text ? Guid.Parse(text) : null;
}
