using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Generating;

/// <summary>A row of <c>status.generations</c>: one picture to render, for everyone who asked for it.</summary>
/// <param name="State">Of the saga: <c>Requested</c>, <c>Rendering</c>, <c>Saving</c>, <c>Completed</c> ...</param>
/// <param name="Attempt">The current one, from 1.</param>
/// <param name="AttemptsFrom">Attempts made before the last new beginning.</param>
/// <param name="DueAt">When a waiting attempt may begin; null while none waits.</param>
/// <param name="LeaseUntil">Until when the attempt's worker has it; null while none has.</param>
/// <param name="Options">The model's own settings; null for none.</param>
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
    DateTimeOffset UpdatedAt,
    IReadOnlyDictionary<string, string>? Options
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

/// <summary>A row of <c>status.generation_attempts</c>: an attempt that has ended.</summary>
/// <param name="Outcome">
/// <c>succeeded</c>, <c>transient</c>, <c>permanent</c>, <c>moderation</c>, <c>refused</c>, <c>cancelled</c> or
/// <c>lost</c>.
/// </param>
internal sealed record AttemptRow(
    int Attempt,
    string Outcome,
    string? Reason,
    string? ObjectKey,
    Guid? WorkerId,
    DateTimeOffset? StartedAt,
    DateTimeOffset EndedAt
);

/// <summary>A generation with everything that is known of it.</summary>
internal sealed record GenerationStatus(
    GenerationRow Generation,
    IReadOnlyList<AttemptRow> Attempts,
    IReadOnlyList<TargetRow> Targets,
    IReadOnlyList<ReceiptRow> Receipts
);

/// <summary>Rows from the columns that <see cref="GenerationReads"/> selects, in its order.</summary>
internal static class GenerationRows
{
    public static TargetRow Target(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetGuid(1),
            x.GetGuid(2),
            x.GetGuid(3),
            x.Text(4),
            x.Nullable<int>(5),
            x.GetInt32(6),
            x.Nullable<Guid>(7),
            x.Nullable<Guid>(8),
            x.Text(9),
            x.Text(10),
            x.Nullable<int>(11),
            x.Text(12),
            x.Nullable<DateTimeOffset>(13),
            x.Instant(14),
            x.Nullable<Guid>(15),
            x.Nullable<DateTimeOffset>(16)
        );

    public static GenerationRow Generation(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetString(1),
            x.GetString(2),
            x.GetString(3),
            x.GetString(4),
            x.GetInt32(5),
            x.GetInt32(6),
            x.Nullable<long>(7),
            x.GetInt32(8),
            x.GetInt32(9),
            x.Nullable<DateTimeOffset>(10),
            x.Nullable<DateTimeOffset>(11),
            x.Text(12),
            x.Text(13),
            x.Text(14),
            x.Nullable<Guid>(15),
            x.Nullable<DateTimeOffset>(16),
            x.Instant(17),
            x.Instant(18),
            x.Text(19) is { } options ? JsonSerializer.Deserialize<Dictionary<string, string>>(options) : null
        );

    public static AttemptRow Attempt(NpgsqlDataReader x) =>
        new(
            x.GetInt32(0),
            x.GetString(1),
            x.Text(2),
            x.Text(3),
            x.Nullable<Guid>(4),
            x.Nullable<DateTimeOffset>(5),
            x.Instant(6)
        );

    public static StoryboardRow Storyboard(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetGuid(1),
            x.GetInt32(2),
            x.Instant(3),
            x.Nullable<DateTimeOffset>(4),
            x.GetInt64(5),
            x.GetFieldValue<string[]>(6)
        );
}
