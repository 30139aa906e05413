namespace Pipeline.Contracts.Deleting;

/// <summary>The steps of a purge, each one sent to the workers by itself.</summary>
public static class PurgeSteps
{
    /// <summary>Delete the objects.</summary>
    public const string Purge = "purge";

    /// <summary>See that they are gone.</summary>
    public const string Verify = "verify";

    /// <summary>Tell the CDNs.</summary>
    public const string Invalidate = "invalidate";
}

/// <summary>What a step's failure means for the next try.</summary>
public static class PurgeFailureKinds
{
    /// <summary>Store or CDN do not answer: waited out.</summary>
    public const string Outage = "outage";

    /// <summary>Store or CDN said no, or the objects are still there: a counted try.</summary>
    public const string Refused = "refused";
}

/// <summary>Message, internal: take one step of a deletion. Safe to repeat.</summary>
/// <param name="DeletionId">The deletion.</param>
/// <param name="Attempt">From 1; an answer carries it back and is compared.</param>
/// <param name="Step">One of <see cref="PurgeSteps"/>.</param>
public sealed record PurgeImage(Guid DeletionId, int Attempt, string Step);

/// <summary>Message, internal: a step is done.</summary>
/// <param name="DeletionId">The deletion.</param>
/// <param name="Attempt">Of the step.</param>
/// <param name="HasMore">True where a purge has done its share and there is more to delete.</param>
public sealed record PurgeStepDone(Guid DeletionId, int Attempt, bool HasMore);

/// <summary>Message, internal: a step has failed.</summary>
/// <param name="DeletionId">The deletion.</param>
/// <param name="Attempt">Of the step.</param>
/// <param name="Step">One of <see cref="PurgeSteps"/>.</param>
/// <param name="Kind">One of <see cref="PurgeFailureKinds"/>.</param>
/// <param name="Reason">For people.</param>
public sealed record PurgeStepFailed(Guid DeletionId, int Attempt, string Step, string Kind, string Reason);

/// <summary>Message, internal, from the sweep: a deletion's time has come, or nothing has touched it for too long.</summary>
/// <param name="DeletionId">The deletion.</param>
/// <param name="Attempt">The attempt that was current then.</param>
public sealed record DeletionDue(Guid DeletionId, int Attempt);

/// <summary>
/// Message, internal: images are being purged and cannot be restored. What was generated for them is no longer needed.
/// </summary>
/// <param name="ProjectId">The project.</param>
/// <param name="ImageId">The image; null for all images of the project.</param>
public sealed record ReleaseGenerated(Guid ProjectId, Guid? ImageId);
