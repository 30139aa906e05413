using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Pipeline.Contracts.Saving;

/// <summary>
/// Command: put a stored picture into a project. The object must be in the store, or come there soon: until it is
/// seen there, the picture is kept out of sight (<c>target-missing</c>).
/// </summary>
/// <inheritdoc cref="ILaneCommand" path="/remarks"/>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">A project that is not there yet is created, without scenes.</param>
/// <param name="ImageId">Chosen by the sender; not all zeros. Saving the same picture again is <c>unchanged</c>.</param>
/// <param name="SceneId">The scene it belongs to, up to 100 characters; null for a picture of the project itself.</param>
/// <param name="SceneIndex">
/// The scene's place, as an alternative to its id. Where both are given and disagree, the id wins and the receipt says
/// so.
/// </param>
/// <param name="Slot">Place within the scene, 0 to 9,999; pictures are listed by slot, then by the order of saving.</param>
/// <param name="ObjectKey">
/// Key in the store: <c>projects/{projectId}/{imageId}/{sha256}.{png|jpg|gif|webp|avif}</c>, or <c>{sha256}-{n}.…</c> with
/// n from 2 to 999 where that key was purged before.
/// </param>
/// <param name="Sha256">Of the bytes, 64 lower-case hexadecimal digits.</param>
/// <param name="ContentType"><c>image/png</c>, <c>image/jpeg</c>, <c>image/gif</c>, <c>image/webp</c> or <c>image/avif</c>.</param>
/// <param name="ByteLength">Bytes, 1 to 26,214,400 (25 MiB).</param>
/// <param name="Width">Pixels, at least 1; width × height is at most 50,000,000.</param>
/// <param name="Height">Pixels, at least 1.</param>
public sealed record SaveImage(
    Guid CommandId,
    Guid ProjectId,
    Guid ImageId,
    [
        StringLength(Limits.SceneIdLength, MinimumLength = 1),
        RegularExpression(Patterns.NoControls, ErrorMessage = Patterns.NoControlsRule)
    ]
        string? SceneId,
    [Range(1, Limits.SceneIndexLast)] int? SceneIndex,
    [property: DefaultValue(0)] [Range(0, Limits.SlotLast)] int Slot,
    [RegularExpression(Patterns.ImageKey, ErrorMessage = Patterns.ImageKeyRule)] string ObjectKey,
    [RegularExpression(Patterns.Sha256, ErrorMessage = Patterns.Sha256Rule)] string Sha256,
    [AllowedValues("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif")] string ContentType,
    [Range(1, Limits.PictureBytes)] long ByteLength,
    [Range(1, Limits.PicturePixels)] int Width,
    [Range(1, Limits.PicturePixels)] int Height
) : ILaneCommand;

/// <summary>Command, internal to the workers: an object that a saved picture waits for has been seen in the store.</summary>
/// <inheritdoc cref="ILaneCommand" path="/remarks"/>
/// <param name="CommandId">Derived from the image and its key.</param>
/// <param name="ProjectId">The picture's project.</param>
/// <param name="ImageId">The picture that waits.</param>
/// <param name="ObjectKey">The key at which the object was seen.</param>
public sealed record ConfirmObject(Guid CommandId, Guid ProjectId, Guid ImageId, string ObjectKey) : ILaneCommand;

/// <summary>
/// Command: give a picture other bytes. It keeps its id, scene and slot; its version and its URLs change. Until the new
/// object is seen in the store the earlier bytes are shown; they are purged some time after the new ones are committed.
/// </summary>
/// <inheritdoc cref="ILaneCommand" path="/remarks"/>
/// <inheritdoc cref="SaveImage" path="/param"/>
/// <param name="ImageId">
/// A picture that is there: <c>target-missing</c> where none is, <c>superseded</c> where it was deleted.
/// </param>
public sealed record ReplaceImage(
    Guid CommandId,
    Guid ProjectId,
    Guid ImageId,
    [RegularExpression(Patterns.ImageKey, ErrorMessage = Patterns.ImageKeyRule)] string ObjectKey,
    [RegularExpression(Patterns.Sha256, ErrorMessage = Patterns.Sha256Rule)] string Sha256,
    [AllowedValues("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif")] string ContentType,
    [Range(1, Limits.PictureBytes)] long ByteLength,
    [Range(1, Limits.PicturePixels)] int Width,
    [Range(1, Limits.PicturePixels)] int Height
) : ILaneCommand;

/// <summary>Event: the picture has its new bytes, and the project's document shows them.</summary>
/// <inheritdoc cref="ImageSaved" path="/param"/>
/// <param name="CommandId">The replacement, or the command that brought the object that it waited for.</param>
/// <param name="ImageVersion">One more than before.</param>
public sealed record ImageReplaced(
    Guid CommandId,
    Guid ProjectId,
    long ProjectVersion,
    Guid ImageId,
    int ImageVersion,
    string? SceneId,
    int Slot,
    string ObjectKey,
    DateTimeOffset At
);

/// <summary>Event: a replacement waits for its object; the picture's earlier bytes are shown until it is seen.</summary>
/// <inheritdoc cref="ImageSaved" path="/param"/>
/// <param name="ImageVersion">The version that is shown meanwhile.</param>
public sealed record ReplacementAwaited(
    Guid CommandId,
    Guid ProjectId,
    Guid ImageId,
    int ImageVersion,
    string ObjectKey,
    DateTimeOffset At
);

/// <summary>Event: the picture is committed, stored and shown in the project's document.</summary>
/// <param name="CommandId">The command that showed it: a save, or the command that brought what the save waited for.</param>
/// <param name="ProjectId">The project.</param>
/// <param name="ProjectVersion">The project's version with this change.</param>
/// <param name="ImageId">The picture.</param>
/// <param name="ImageVersion">1 for a new picture; rises when its bytes are replaced.</param>
/// <param name="SceneId">Its scene; null for a picture of the project itself.</param>
/// <param name="Slot">Its place within the scene.</param>
/// <param name="ObjectKey">Where the bytes are.</param>
/// <param name="At">When it was committed, UTC.</param>
public sealed record ImageSaved(
    Guid CommandId,
    Guid ProjectId,
    long ProjectVersion,
    Guid ImageId,
    int ImageVersion,
    string? SceneId,
    int Slot,
    string ObjectKey,
    DateTimeOffset At
);

/// <summary>Event: the picture is kept, but not shown yet, because its scene or its object is missing.</summary>
/// <inheritdoc cref="ImageSaved" path="/param"/>
/// <param name="SceneIndex">The wanted scene's place, where the command named the scene so.</param>
/// <param name="Reason">What it waits for: <c>scene</c>, <c>object</c> or <c>scene and object</c>.</param>
public sealed record ImageUnplaced(
    Guid CommandId,
    Guid ProjectId,
    long ProjectVersion,
    Guid ImageId,
    string? SceneId,
    int? SceneIndex,
    int Slot,
    string ObjectKey,
    string Reason,
    DateTimeOffset At
);
