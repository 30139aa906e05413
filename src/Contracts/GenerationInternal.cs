using System.ComponentModel;

namespace Pipeline.Contracts.Generation;

/// <summary>Message, internal: a checked request, for the saga.</summary>
/// <param name="GenerationId"><c>UUIDv5</c> of the request's hash: the same picture is the same generation.</param>
/// <param name="RequestHash"><c>image|</c> and 64 hexadecimal digits.</param>
/// <param name="Request">The request as it came.</param>
/// <param name="Replays">How often a person has replayed the request from the dead letters.</param>
public sealed record RequestGeneration(
    Guid GenerationId,
    string RequestHash,
    GenerateImage Request,
    [property: DefaultValue(0)] int Replays = 0
);

/// <summary>Message, internal: render one attempt.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">From 1; an answer carries it back and is compared.</param>
/// <param name="Prompt">The prompt.</param>
/// <param name="Model">The model.</param>
/// <param name="Width">Pixels.</param>
/// <param name="Height">Pixels.</param>
/// <param name="Seed">Null where the model may choose.</param>
/// <param name="Options">The model's own settings.</param>
public sealed record RenderImage(
    Guid GenerationId,
    int Attempt,
    string Prompt,
    string Model,
    int Width,
    int Height,
    long? Seed,
    IReadOnlyDictionary<string, string>? Options
);

/// <summary>Message, internal: an attempt has its picture, stored under a key of the generation.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">The attempt that was rendered.</param>
/// <param name="ObjectKey"><c>generated/{generationId}/{sha256}.{ext}</c>, from attempt 2 on with <c>-{attempt}</c> before the dot.</param>
public sealed record RenderSucceeded(Guid GenerationId, int Attempt, string ObjectKey);

/// <summary>Message, internal: an attempt has failed.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">The attempt that failed.</param>
/// <param name="Kind">One of <see cref="RenderFailureKinds"/>.</param>
/// <param name="Reason">For people.</param>
/// <param name="RetryAfter">The provider's own wish; null where it has none.</param>
public sealed record RenderFailed(Guid GenerationId, int Attempt, string Kind, string Reason, TimeSpan? RetryAfter);

/// <summary>What an attempt's failure means for the next one.</summary>
public static class RenderFailureKinds
{
    /// <summary>Another attempt may succeed.</summary>
    public const string Transient = "transient";

    /// <summary>The provider can not make this picture: another attempt would fail the same way.</summary>
    public const string Permanent = "permanent";

    /// <summary>
    /// Whoever asks is refused and not the picture, as with a wrong key or a used-up quota. No attempt helps until a
    /// person has mended it; then the same request may be made again.
    /// </summary>
    public const string Refused = "refused";

    /// <summary>The provider does not paint this prompt.</summary>
    public const string Moderation = "moderation";
}

/// <summary>Message, internal: the provider takes nothing now. The attempt is not begun, and not spent.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">The attempt that waits.</param>
/// <param name="Until">When the provider's gate opens, UTC.</param>
/// <param name="Reason">For people.</param>
public sealed record RenderPostponed(Guid GenerationId, int Attempt, DateTimeOffset Until, string Reason);

/// <summary>Message, internal, from the sweep: an attempt that waited may begin.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">The attempt that waited.</param>
public sealed record RenderDue(Guid GenerationId, int Attempt);

/// <summary>Message, internal, from the sweep: the worker of an attempt has stopped renewing its lease.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">The attempt that is lost.</param>
public sealed record RenderLeaseExpired(Guid GenerationId, int Attempt);

/// <summary>Message, internal, from the sweep: the last moment for a new attempt has passed.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">The attempt that was current then.</param>
public sealed record GenerationDeadlinePassed(Guid GenerationId, int Attempt);

/// <summary>Message, internal, from the sweep: a request's picture has its end in the lane.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="ProjectId">The request's project.</param>
/// <param name="CommandId">The request.</param>
/// <param name="Outcome">Of the save, or of the import where that refused the picture.</param>
/// <param name="Reason">Of the same receipt.</param>
/// <param name="ProjectVersion">Of the same receipt.</param>
public sealed record TargetSettled(
    Guid GenerationId,
    Guid ProjectId,
    Guid CommandId,
    string Outcome,
    string? Reason,
    long? ProjectVersion
);

/// <summary>Message, internal: some images that were generated may be purged. The saga looks which ones.</summary>
/// <param name="GenerationId">The generation.</param>
public sealed record GenerationReleased(Guid GenerationId);

/// <summary>Message, internal: no image needs the originals of a generation any more. Delete them.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">The last attempt whose original is to be deleted; the answer carries it back.</param>
public sealed record RemoveOriginals(Guid GenerationId, int Attempt);

/// <summary>Message, internal: the originals of a generation are deleted, or could not be deleted.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">Of the request.</param>
/// <param name="Reason">Why some are left, for people; null where none is.</param>
public sealed record RemovalEnded(Guid GenerationId, int Attempt, string? Reason);
