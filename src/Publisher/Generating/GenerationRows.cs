using System.Text.Json.Serialization;

namespace Pipeline.Publisher.Generating;

/// <summary>A row of <c>status.generations</c>: one picture to render, for everyone who asked for it.</summary>
/// <param name="State">Of the saga: <c>Requested</c>, <c>Rendering</c>, <c>Saving</c>, <c>Completed</c> ...</param>
/// <param name="Attempt">The current one, from 1.</param>
/// <param name="AttemptsFrom">Attempts made before the last new beginning.</param>
/// <param name="DueAt">When a waiting attempt may begin; null while none waits.</param>
/// <param name="LeaseUntil">Until when the attempt's worker has it; null while none has.</param>
internal sealed record GenerationRow(
    Guid Id,
    string RequestHash,
    string State,
    string Prompt,
    string Model,
    int Width,
    int Height,
    long? Seed,
    int Attempt,
    int AttemptsFrom,
    DateTimeOffset? DueAt,
    DateTimeOffset? DeadlineAt,
    string? ObjectKey,
    string? FailureKind,
    string? FailureReason,
    Guid? WorkerId,
    DateTimeOffset? LeaseUntil,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt
);

/// <summary>A row of <c>status.generation_targets</c>, a request for a picture, with the lease of its attempt.</summary>
/// <param name="Outcome">Null while it is open.</param>
/// <param name="State">Of its generation; null in the moment before that is stored.</param>
internal sealed record TargetRow(
    Guid CommandId,
    Guid GenerationId,
    Guid ProjectId,
    Guid ImageId,
    string? SceneId,
    int? SceneIndex,
    int Slot,
    Guid? ImportCommandId,
    Guid? SaveCommandId,
    string? Outcome,
    string? State,
    int? Attempt,
    string? FailureReason,
    DateTimeOffset? DueAt,
    DateTimeOffset CreatedAt,
    Guid? WorkerId,
    DateTimeOffset? LeaseUntil
)
{
    [JsonIgnore]
    public bool IsOpen => Outcome is null;

    [JsonIgnore]
    public bool IsSaved => Outcome is Contracts.Receipts.Outcomes.Applied or Contracts.Receipts.Outcomes.Unchanged;

    /// <summary>The outcome, and the saga's state while there is none.</summary>
    [JsonIgnore]
    public string Phase => Outcome ?? State?.ToLowerInvariant() ?? "requested";
}

/// <summary>A row of <c>status.generation_storyboards</c>.</summary>
/// <param name="CompletedAt">When every picture had its end; null until then.</param>
/// <param name="Saved">Pictures that were saved under its own requests.</param>
/// <param name="MissingScenes">Scenes that still lack a picture.</param>
internal sealed record StoryboardRow(
    Guid CommandId,
    Guid ProjectId,
    int Requested,
    DateTimeOffset CreatedAt,
    DateTimeOffset? CompletedAt,
    long Saved,
    IReadOnlyList<string> MissingScenes
);

/// <summary>A row of <c>status.provider_gates</c> that is closed: a provider that takes nothing now.</summary>
internal sealed record GateRow(string Provider, DateTimeOffset ClosedUntil, string Reason);

/// <summary>A generation with everything that is known of it.</summary>
internal sealed record GenerationStatus(
    GenerationRow Generation,
    IReadOnlyList<TargetRow> Targets,
    IReadOnlyList<Status.ReceiptRow> Receipts
);
