using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Pipeline.Workers.Cataloguing;

/// <summary>A notification as it comes: JSON of the store's own shape.</summary>
internal sealed record ObjectEvents
{
    /// <summary>The whole body, member by member.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement> Body { get; init; } = [];
}

/// <summary>Reads the notifications of the stores that are known.</summary>
/// <remarks>
/// AWS S3, directly or wrapped by SNS or EventBridge; MinIO; Ceph; SeaweedFS's webhook. Sources of the shapes: Amazon
/// S3 user guide, "Event message structure" and "Using EventBridge"; MinIO's bucket notification guide; Ceph's
/// "Bucket notifications"; SeaweedFS's weed/notification/webhook.
/// </remarks>
internal static class ObjectEventReader
{
    private const string SeaweedBuckets = "/buckets/";

    private static readonly string[] Creations = ["ObjectCreated:", "ObjectSynced:Create"];

    private static readonly string[] Deletions =
    [
        "ObjectRemoved:",
        "LifecycleExpiration:",
        "ObjectLifecycle:Expiration",
        "ObjectSynced:Delete",
    ];

    /// <param name="body">The notification.</param>
    /// <param name="bucket">Ours; an event of another bucket is a wrong setting at the store.</param>
    /// <returns>What it says of objects; empty for one that says nothing of their being there, such as S3's test event.</returns>
    /// <exception cref="UnreadableEventException">It is none of the shapes, or of another bucket.</exception>
    public static IReadOnlyList<ObjectEvent> Read(Dictionary<string, JsonElement> body, string bucket)
    {
        if (body.TryGetValue("Records", out var records))
            return ReadRecords(records, bucket);
        if (body.TryGetValue("detail-type", out var type) && body.TryGetValue("detail", out var detail))
            return ReadEventBridge(type, detail, bucket);
        if (body.TryGetValue("event_type", out var change) && body.TryGetValue("message", out var message))
            return ReadSeaweed(Text(body.GetValueOrDefault("key"), "key"), Text(change, "event_type"), message, bucket);
        if (body.TryGetValue("Type", out var wrapped) && body.TryGetValue("Message", out var inner))
            return ReadSns(wrapped, inner, bucket);
        if (body.TryGetValue("Event", out var test) && test.ValueEquals("s3:TestEvent"))
            return [];
        throw new UnreadableEventException(
            $"it has neither Records nor detail-type nor event_type, but {string.Join(", ", body.Keys.Take(10))}"
        );
    }

    private static List<ObjectEvent> ReadRecords(JsonElement records, string bucket)
    {
        if (records.ValueKind != JsonValueKind.Array)
            throw new UnreadableEventException("Records is no list");
        var events = new List<ObjectEvent>();
        foreach (var record in records.EnumerateArray())
        {
            var name = Text(Member(record, "eventName"), "eventName");
            name = name.StartsWith("s3:", StringComparison.Ordinal) ? name[3..] : name;
            if (IsDeletion(name) is not { } isDeletion)
                continue;

            var s3 = Member(record, "s3");
            CheckBucket(Text(Member(Member(s3, "bucket"), "name"), "s3.bucket.name"), bucket);
            var stored = Member(s3, "object");
            var key = Text(Member(stored, "key"), "s3.object.key");
            var sequencer = OptionalText(stored, "sequencer");
            // Ceph writes the key as it is; AWS and MinIO encode it like a form's field, a space as "+".
            var isCeph = OptionalText(record, "eventSource")?.StartsWith("ceph", StringComparison.Ordinal) == true;
            events.Add(
                isCeph
                    ? new ObjectEvent(key, isDeletion, Sequencer.OfCeph(sequencer))
                    : new ObjectEvent(WebUtility.UrlDecode(key), isDeletion, Sequencer.OfAws(sequencer))
            );
        }

        return events;
    }

    private static ObjectEvent[] ReadEventBridge(JsonElement type, JsonElement detail, string bucket)
    {
        bool? isDeletion = Text(type, "detail-type") switch
        {
            "Object Created" => false,
            "Object Deleted" => true,
            _ => null, // Restored, tagged, moved to another class: it is still there.
        };
        if (isDeletion is not { } deletion)
            return [];

        CheckBucket(Text(Member(Member(detail, "bucket"), "name"), "detail.bucket.name"), bucket);
        var stored = Member(detail, "object");
        // Not encoded, unlike the same event sent without EventBridge.
        var key = Text(Member(stored, "key"), "detail.object.key");
        return [new ObjectEvent(key, deletion, Sequencer.OfAws(OptionalText(stored, "sequencer")))];
    }

    private static List<ObjectEvent> ReadSeaweed(string path, string change, JsonElement message, string bucket)
    {
        if (change is not ("create" or "update" or "delete" or "rename"))
            throw new UnreadableEventException($"event_type is '{change}'");
        var events = new List<ObjectEvent>();
        if (Optional(message, "old_entry") is { } old && change is "delete" or "rename" && IsFile(old))
            events.Add(new ObjectEvent(SeaweedKey(path, bucket), IsDeletion: true, Sequencer: null));
        if (Optional(message, "new_entry") is { } made && change != "delete" && IsFile(made))
        {
            // After a rename "key" is the old path.
            var now =
                change == "rename" ? $"{OptionalText(message, "new_parent_path")}/{OptionalText(made, "name")}" : path;
            events.Add(new ObjectEvent(SeaweedKey(now, bucket), IsDeletion: false, Sequencer: null));
        }

        return events;

        static bool IsFile(JsonElement entry) =>
            Optional(entry, "is_directory") is not { ValueKind: JsonValueKind.True };
    }

    private static string SeaweedKey(string path, string bucket)
    {
        if (!path.StartsWith(SeaweedBuckets, StringComparison.Ordinal))
            throw new UnreadableEventException($"'{path}' is not below {SeaweedBuckets}");
        var rest = path[SeaweedBuckets.Length..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0)
            throw new UnreadableEventException($"'{path}' names no object");
        CheckBucket(rest[..slash], bucket);
        return rest[(slash + 1)..];
    }

    private static IReadOnlyList<ObjectEvent> ReadSns(JsonElement type, JsonElement message, string bucket)
    {
        if (!type.ValueEquals("Notification"))
            throw new UnreadableEventException($"Type is {type}; confirm the subscription at SNS");
        try
        {
            var inner = JsonSerializer.Deserialize<ObjectEvents>(Text(message, "Message"));
            return inner is null ? throw new UnreadableEventException("Message is null")
                : inner.Body.ContainsKey("Message") ? throw new UnreadableEventException("Message wraps another one")
                : Read(inner.Body, bucket);
        }
        catch (JsonException e)
        {
            throw new UnreadableEventException($"Message is no JSON object: {e.Message}");
        }
    }

    /// <returns>Null for what leaves the object where it is: read, tagged, restored.</returns>
    private static bool? IsDeletion(string eventName) =>
        Array.Exists(Creations, x => eventName.StartsWith(x, StringComparison.Ordinal)) ? false
        : Array.Exists(Deletions, x => eventName.StartsWith(x, StringComparison.Ordinal)) ? true
        : null;

    private static void CheckBucket(string named, string ours)
    {
        if (named != ours)
            throw new UnreadableEventException($"it is of the bucket '{named}', and ours is '{ours}'");
    }

    private static JsonElement Member(JsonElement of, string name) =>
        Optional(of, name) ?? throw new UnreadableEventException($"{name} is missing");

    private static JsonElement? Optional(JsonElement of, string name) =>
        of.ValueKind == JsonValueKind.Object
        && of.TryGetProperty(name, out var member)
        && member.ValueKind != JsonValueKind.Null
            ? member
            : null;

    private static string Text(JsonElement text, string name) =>
        text.ValueKind == JsonValueKind.String && text.GetString() is { Length: > 0 } value
            ? value
            : throw new UnreadableEventException($"{name} is missing or no text");

    private static string? OptionalText(JsonElement of, string name) =>
        Optional(of, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
}
