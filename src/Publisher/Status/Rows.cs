using System.Text.Json;
using System.Text.Json.Serialization;
using Pipeline.Wire;

namespace Pipeline.Publisher.Status;

/// <summary>A row of <c>status.projects</c>.</summary>
internal sealed record ProjectRow(
    Guid Id,
    long Version,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    long Scenes,
    long Images,
    long Waiting,
    long Receipts
);

/// <summary>A row of <c>status.images</c>.</summary>
/// <param name="State"><c>shown</c>, <c>waiting</c> or <c>deleted</c>.</param>
/// <param name="WaitsFor"><c>scene</c>, <c>object</c> or <c>scene and object</c> while it waits.</param>
internal sealed record ImageRow(
    Guid Id,
    Guid ProjectId,
    string? SceneId,
    int? SceneIndex,
    int Slot,
    int Version,
    string ObjectKey,
    string Sha256,
    string ContentType,
    long ByteLength,
    int Width,
    int Height,
    string State,
    string? WaitsFor,
    long ProjectVersion,
    DateTimeOffset SavedAt,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? DeletedAt
);

/// <summary>A row of <c>status.receipts</c>. Its project may be that of what the command was about.</summary>
internal sealed record ReceiptRow(
    Guid CommandId,
    Guid ProjectId,
    string Command,
    string Outcome,
    string? Reason,
    long? ProjectVersion,
    int Replays,
    DateTimeOffset At,
    Guid? FollowUpId
)
{
    /// <summary>What makes the command one command.</summary>
    [JsonIgnore]
    public CommandKey Key { get; init; }
}

/// <summary>A row of <c>status.lanes</c>. <c>Held</c> is false once the lease has ended.</summary>
internal sealed record LaneRow(
    int Lane,
    string Queue,
    Guid? WorkerId,
    string? Worker,
    long Epoch,
    DateTimeOffset? LeaseUntil,
    bool Held
);

/// <summary>A row of <c>status.workers</c>.</summary>
internal sealed record WorkerRow(Guid Id, string Name, DateTimeOffset StartedAt, DateTimeOffset LeaseUntil, bool Alive);

/// <summary>The row of <c>status.outbox</c>: messages that are committed and not relayed yet.</summary>
internal sealed record OutboxRow(long Waiting, DateTimeOffset? Oldest);

/// <summary>A row of <c>status.project_documents</c>: the JSON as the database wrote it.</summary>
internal sealed record DocumentRow(long Version, string Json)
{
    private static readonly JsonSerializerOptions Reading = new(JsonSerializerDefaults.Web);

    public StoryboardDocument Read() =>
        JsonSerializer.Deserialize<StoryboardDocument>(Json, Reading)
        ?? throw new InvalidOperationException("status.project_documents holds a null document.");
}

/// <summary>What this program reads of a document.</summary>
/// <param name="Scenes">In the order of their index.</param>
/// <param name="Missing">Ids of the scenes without a picture.</param>
internal sealed record StoryboardDocument(IReadOnlyList<SceneDocument> Scenes, IReadOnlyList<string> Missing);

/// <summary>A scene as front ends see it.</summary>
internal sealed record SceneDocument(string Id, int Index, string? Prompt, IReadOnlyList<string> ImageUrls);
