using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Pipeline.Contracts.Importing;

/// <summary>
/// Command: fetch a picture, check it, store its bytes and save it into a project. Not ordered; the save it queues is.
/// </summary>
/// <remarks>
/// Published to <c>import-image</c>, a queue of competing workers. Exactly one of <paramref name="SourceUrl"/> and
/// <paramref name="UploadKey"/> is given. Its receipt is <c>applied</c> when the bytes are stored and the save is
/// queued, or <c>rejected</c> with the reason when it is no acceptable picture. The save has a random id, which the
/// receipt has as <c>followUpId</c>.
/// </remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="ImageId">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="SceneId">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="SceneIndex">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="Slot">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="SourceUrl">http or https, up to 2,048 characters, on the public internet unless configured otherwise.</param>
/// <param name="UploadKey">
/// A key under <c>uploads/</c> where the publisher has put the bytes, deleted afterwards; or one under <c>generated/</c>
/// where the pipeline itself has put a rendered picture, which stays.
/// </param>
/// <param name="Replace">
/// True gives a picture that is there these bytes, as <see cref="Saving.ReplaceImage"/> does; scene and slot stay as they
/// are, whatever is said here.
/// </param>
public sealed record ImportImage(
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
    [Url, StringLength(Limits.UrlLength)] string? SourceUrl,
    [RegularExpression(Patterns.IntakeKey, ErrorMessage = Patterns.IntakeKeyRule)] string? UploadKey,
    [property: DefaultValue(false)] bool Replace = false
);
