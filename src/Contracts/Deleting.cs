namespace Pipeline.Contracts.Deleting;

/// <summary>
/// Command: delete a picture. It is gone from every view at once; its bytes are purged after the grace period, if one
/// is configured. A deleted id stays deleted, whatever is saved under it later, unless it is restored in time.
/// </summary>
/// <inheritdoc cref="ILaneCommand" path="/remarks"/>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">The picture's project.</param>
/// <param name="ImageId">Not all zeros. Deleting what is not there, or is deleted already, is <c>unchanged</c>.</param>
public sealed record DeleteImage(Guid CommandId, Guid ProjectId, Guid ImageId) : ILaneCommand;

/// <summary>
/// Command: delete a project with all its pictures and scenes, as <see cref="DeleteImage"/> does with one. Commands that
/// come after it are <c>superseded</c>.
/// </summary>
/// <inheritdoc cref="DeleteImage" path="/remarks"/>
/// <inheritdoc cref="DeleteImage" path="/param"/>
public sealed record DeleteProject(Guid CommandId, Guid ProjectId) : ILaneCommand;

/// <summary>
/// Command: delete a project as <see cref="DeleteProject"/> does, without a grace period, and remove what its commands
/// have left everywhere else: texts of receipts, prompts, originals, dead letters, webhook deliveries, URLs. It cannot
/// be taken back. <see cref="ProjectErased"/> tells the end.
/// </summary>
/// <inheritdoc cref="DeleteImage" path="/remarks"/>
/// <inheritdoc cref="DeleteImage" path="/param"/>
public sealed record EraseProject(Guid CommandId, Guid ProjectId) : ILaneCommand;

/// <summary>Command: take a picture's deletion back. Possible until its bytes begin to be purged.</summary>
/// <inheritdoc cref="DeleteImage" path="/remarks"/>
/// <inheritdoc cref="DeleteImage" path="/param"/>
/// <param name="ImageId">
/// The picture: <c>unchanged</c> where it is not deleted, <c>superseded</c> where its purge has begun,
/// <c>target-missing</c> where there is none.
/// </param>
public sealed record RestoreImage(Guid CommandId, Guid ProjectId, Guid ImageId) : ILaneCommand;

/// <summary>Command: take a project's deletion back, with every picture that was deleted by it.</summary>
/// <inheritdoc cref="RestoreImage" path="/remarks"/>
/// <inheritdoc cref="DeleteImage" path="/param"/>
public sealed record RestoreProject(Guid CommandId, Guid ProjectId) : ILaneCommand;

/// <summary>Command: go on with a deletion that has failed, or that waits for its next try.</summary>
/// <remarks>Published to <c>retry-deletion</c>. Its receipt says whether there was anything to go on with.</remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="DeletionId">The deletion, as <c>status.deletions</c> names it.</param>
public sealed record RetryDeletion(Guid CommandId, Guid DeletionId);

/// <summary>Event: the picture is gone from every view. <see cref="ImageDeleted"/> tells when its bytes are gone too.</summary>
/// <param name="CommandId">The command that deleted it.</param>
/// <param name="ProjectId">The project.</param>
/// <param name="ProjectVersion">The project's version with this change.</param>
/// <param name="ImageId">The picture.</param>
/// <param name="DeletionId">The purge that follows.</param>
/// <param name="At">When it was committed, UTC.</param>
public sealed record ImageTombstoned(
    Guid CommandId,
    Guid ProjectId,
    long ProjectVersion,
    Guid ImageId,
    Guid DeletionId,
    DateTimeOffset At
);

/// <summary>Event: the project is gone from every view. <see cref="ProjectDeleted"/> tells when its bytes are gone too.</summary>
/// <inheritdoc cref="ImageTombstoned" path="/param"/>
/// <param name="ImageCount">Pictures that went with it.</param>
public sealed record ProjectTombstoned(
    Guid CommandId,
    Guid ProjectId,
    long ProjectVersion,
    int ImageCount,
    Guid DeletionId,
    DateTimeOffset At
);

/// <summary>Event: a project's deletion was taken back. Each picture that came back is announced by itself.</summary>
/// <inheritdoc cref="ImageTombstoned" path="/param"/>
/// <param name="ImageCount">Pictures that came back with it.</param>
public sealed record ProjectRestored(
    Guid CommandId,
    Guid ProjectId,
    long ProjectVersion,
    int ImageCount,
    DateTimeOffset At
);

/// <summary>Event: the picture's objects are purged, seen to be gone, and the CDNs are told.</summary>
/// <inheritdoc cref="ImageTombstoned" path="/param"/>
/// <param name="ObjectCount">Objects that were purged, of all its versions.</param>
public sealed record ImageDeleted(
    Guid CommandId,
    Guid ProjectId,
    Guid ImageId,
    Guid DeletionId,
    int ObjectCount,
    DateTimeOffset At
);

/// <summary>Event: all objects of the project are purged, seen to be gone, and the CDNs are told.</summary>
/// <inheritdoc cref="ImageDeleted" path="/param"/>
public sealed record ProjectDeleted(
    Guid CommandId,
    Guid ProjectId,
    Guid DeletionId,
    int ObjectCount,
    DateTimeOffset At
);

/// <summary>Event: nothing of the project is left but ids, outcomes and times.</summary>
/// <inheritdoc cref="ImageTombstoned" path="/param"/>
/// <param name="Locations">Where something was found, each with how much; also those where nothing was.</param>
public sealed record ProjectErased(
    Guid CommandId,
    Guid ProjectId,
    IReadOnlyList<ErasedLocation> Locations,
    DateTimeOffset At
);

/// <summary>One location that an erasure has looked through.</summary>
/// <param name="Location">Such as <c>receipts</c>, <c>objects</c> or <c>dead-letters: project-lane-03_error</c>.</param>
/// <param name="Count">Rows, objects or messages. Where a worker was killed in between, a message may be counted twice.</param>
public sealed record ErasedLocation(string Location, long Count);

/// <summary>
/// Event: a purge or an invalidation was given up. What was deleted stays out of every view; what is left of its bytes
/// is kept in <c>status.deletion_keys</c>, and <see cref="RetryDeletion"/> goes on with it.
/// </summary>
/// <inheritdoc cref="ImageTombstoned" path="/param"/>
/// <param name="ImageId">Null where a whole project is deleted.</param>
/// <param name="Kind"><c>image</c>, <c>project</c>, or <c>object</c>: bytes of a picture that was replaced.</param>
/// <param name="Reason">For people.</param>
/// <param name="KeysLeft">Objects that are not known to be gone; 0 where only the CDNs are in the way.</param>
public sealed record ImageDeletionFailed(
    Guid CommandId,
    Guid ProjectId,
    Guid? ImageId,
    Guid DeletionId,
    string Kind,
    string Reason,
    int KeysLeft,
    DateTimeOffset At
);
