using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Pipeline.Contracts.Reconciling;

/// <summary>
/// Command: compare bucket, pictures, catalogue and URLs, and keep what does not agree as findings. It changes nothing
/// else, unless it repairs what an earlier one has found.
/// </summary>
/// <remarks>
/// Published to <c>reconcile</c>. A bucket has one at a time: another is <c>rejected</c> while it runs. Its receipt
/// comes at the end: <c>applied</c> with the number of findings or repairs, or <c>failed</c> with the store's error. Its
/// id is the reconciliation's.
/// </remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="Grace">
/// What was written later than so long before the start is in flight, and left alone; null: the workers' own setting.
/// </param>
/// <param name="ReadBytes">True reads every picture and compares its hash: as slow as the whole bucket is large.</param>
/// <param name="RepairOf">
/// A finished reconciliation whose findings are to be repaired; null to look for findings. It can be repaired once,
/// within a day of its end.
/// </param>
public sealed record Reconcile(
    Guid CommandId,
    [property: DefaultValue(null)] TimeSpan? Grace,
    [property: DefaultValue(false)] bool ReadBytes,
    [property: DefaultValue(null)] Guid? RepairOf
);

/// <summary>
/// Command: delete an object that no picture has, or whose bytes are not what its picture says. Both are looked at
/// again before anything is deleted. A picture is hidden first, and its object purged afterwards.
/// </summary>
/// <remarks>
/// Published to <c>discard-object</c>, in any order. <c>applied</c> when it was deleted, or when the
/// <c>retract-object</c> is queued that hides its picture and begins its purge; <c>unchanged</c> when it was gone
/// already, <c>superseded</c> when a picture has it and its bytes are right, or when it was put anew.
/// </remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ObjectKey">Below <c>projects/</c>.</param>
/// <param name="OlderThan">UTC. An object that no picture has is deleted only if it came before.</param>
public sealed record DiscardObject(
    Guid CommandId,
    [StringLength(Limits.KeyLength, MinimumLength = 1)] string ObjectKey,
    DateTimeOffset OlderThan
);

/// <summary>
/// Command, internal: a picture's object is not in the store, or is not the picture's. The picture is kept out of sight
/// until its object is there; <c>image-unplaced</c> says so.
/// </summary>
/// <inheritdoc cref="ILaneCommand" path="/remarks"/>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">The picture's project.</param>
/// <param name="ImageId">The picture.</param>
/// <param name="ObjectKey">The object that is missing; a picture that has another one by now is left alone.</param>
/// <param name="Purge">
/// True where the object has wrong bytes: it is purged, its key is not used again, and the picture waits for its bytes
/// under another copy's key.
/// </param>
public sealed record RetractObject(
    Guid CommandId,
    Guid ProjectId,
    Guid ImageId,
    string ObjectKey,
    [property: DefaultValue(false)] bool Purge = false
) : ILaneCommand;

/// <summary>Event: a reconciliation has come to its end.</summary>
/// <param name="CommandId">The reconciliation.</param>
/// <param name="RepairOf">The one that it repaired; null where it looked for findings.</param>
/// <param name="Objects">Objects that were compared.</param>
/// <param name="Findings">What did not agree, or commands that were sent to repair it.</param>
/// <param name="At">UTC.</param>
public sealed record StoresReconciled(Guid CommandId, Guid? RepairOf, long Objects, long Findings, DateTimeOffset At);
