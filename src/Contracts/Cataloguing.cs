using System.ComponentModel.DataAnnotations;

namespace Pipeline.Contracts.Cataloguing;

/// <summary>
/// Command: an object was put into the store by somebody else; enter it into the catalogue. The store is asked before
/// it is believed.
/// </summary>
/// <remarks>
/// Published to <c>record-object</c>, in any order. <c>applied</c> when an entry was made or brought up to date,
/// <c>unchanged</c> when it was so already, <c>target-missing</c> when the store has no such object.
/// </remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ObjectKey">
/// 1 to 1,024 bytes of UTF-8, as it is in the store and not URL-encoded; without control characters and without the
/// segments <c>.</c> and <c>..</c>.
/// </param>
public sealed record RecordObject(
    Guid CommandId,
    [
        RegularExpression(Patterns.StoreKey, ErrorMessage = Patterns.StoreKeyRule),
        StringLength(Limits.KeyLength, MinimumLength = 1)
    ]
        string ObjectKey
);

/// <summary>
/// Command: an object was deleted from the store by somebody else; take it out of the catalogue. The store is asked
/// before it is believed.
/// </summary>
/// <remarks>
/// Published to <c>forget-object</c>, in any order. <c>applied</c> when an entry went, <c>unchanged</c> when there was none,
/// <c>superseded</c> when the store has the object, whose entry stays and is brought up to date.
/// </remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ObjectKey">As in <see cref="RecordObject"/>.</param>
public sealed record ForgetObject(
    Guid CommandId,
    [
        RegularExpression(Patterns.StoreKey, ErrorMessage = Patterns.StoreKeyRule),
        StringLength(Limits.KeyLength, MinimumLength = 1)
    ]
        string ObjectKey
);

/// <summary>
/// Command: list the whole bucket and bring the catalogue to agree with it. Readers see the old entries until each is
/// replaced. A bucket has one rebuild at a time; a request while one runs joins it.
/// </summary>
/// <remarks>
/// Published to <c>rebuild-catalog</c>. Its receipt comes at the end and names the rebuild: <c>applied</c>, <c>failed</c>
/// with the store's error, or <c>superseded</c> when it was cancelled.
/// </remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
public sealed record RebuildCatalog(Guid CommandId);

/// <summary>Command: stop a rebuild. What it has brought up to date stays so; nothing more is removed.</summary>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="RebuildId">The rebuild.</param>
public sealed record CancelRebuild(Guid CommandId, Guid RebuildId);

/// <summary>Event: a command had the store asked, and the object is there and in the catalogue.</summary>
/// <param name="CommandId">The command.</param>
/// <param name="ObjectKey">The object.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ETag">The store's own mark of the content, without quotes.</param>
/// <param name="ContentType">As the store says; null where it says none.</param>
/// <param name="LastModified">UTC, whole seconds.</param>
/// <param name="At">UTC.</param>
public sealed record ObjectRecorded(
    Guid CommandId,
    string ObjectKey,
    long Size,
    string ETag,
    string? ContentType,
    DateTimeOffset LastModified,
    DateTimeOffset At
);

/// <summary>Event: a command had the store asked, and the object is not there and not in the catalogue.</summary>
/// <param name="CommandId">The command.</param>
/// <param name="ObjectKey">The object.</param>
/// <param name="At">UTC.</param>
public sealed record ObjectForgotten(Guid CommandId, string ObjectKey, DateTimeOffset At);

/// <summary>Event: the catalogue agrees with the listing of the bucket.</summary>
/// <param name="RebuildId">The rebuild.</param>
/// <param name="Bucket">The bucket.</param>
/// <param name="Keys">Objects listed.</param>
/// <param name="Removed">Entries removed, because no listing had them.</param>
/// <param name="StartedAt">UTC.</param>
/// <param name="At">UTC.</param>
public sealed record CatalogRebuilt(
    Guid RebuildId,
    string Bucket,
    long Keys,
    long Removed,
    DateTimeOffset StartedAt,
    DateTimeOffset At
);

/// <summary>Event: a rebuild has ended before its end. The catalogue is as complete as it was.</summary>
/// <param name="RebuildId">The rebuild.</param>
/// <param name="Bucket">The bucket.</param>
/// <param name="Outcome"><c>failed</c> or <c>superseded</c> (cancelled).</param>
/// <param name="Reason">For people; names the store's error.</param>
/// <param name="At">UTC.</param>
public sealed record CatalogRebuildEnded(
    Guid RebuildId,
    string Bucket,
    string Outcome,
    string Reason,
    DateTimeOffset At
);
