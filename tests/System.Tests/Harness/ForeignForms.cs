using System.Text;
using System.Text.Json.Nodes;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.SystemTests.Harness;

/// <summary>A command as services in other languages and frameworks put it on the wire.</summary>
internal enum ForeignForm
{
    PlainJson,
    Envelope,
    CloudEventInHeaders,
    CloudEventInHeadersWithColon,
    CloudEventInJson,
    CloudEventInBase64,
}

/// <summary>Writes the examples of docs/messages.md, under ids of the test's own, in any of the forms.</summary>
internal sealed class ForeignCommand
{
    private readonly MessageContract _contract;

    public ForeignCommand(MessageContract contract)
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

    public Guid ProjectId { get; }

    public Task SendAsync(RawClient client, ForeignForm form) =>
        form switch
        {
            ForeignForm.PlainJson => PublishAsync(client, Body, WireJson.ContentType),
            ForeignForm.Envelope => PublishAsync(
                client,
                new JsonObject
                {
                    ["messageId"] = CommandId,
                    ["messageType"] = new JsonArray($"urn:message:{_contract.Type.Namespace}:{_contract.Type.Name}"),
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

    // Plain JSON is named by its exchange alone, and a CloudEvent by its own attributes.
    private Task PublishAsync(
        RawClient client,
        JsonNode body,
        string contentType,
        Dictionary<string, object?>? headers = null
    ) =>
        client.PublishAsync(
            _contract.Name,
            ProjectId.ToString(),
            body.ToJsonString(WireJson.Options),
            messageId: null,
            type: null,
            contentType,
            headers
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
            ["id"] = CommandId.ToString(),
            ["source"] = "/tests",
            ["type"] = _contract.Name,
        };

    private Guid? Id(string name) => (string?)Body[name] is { } text ? Guid.Parse(text) : null;
}
