using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Pipeline.Contracts.Generation;

/// <summary>
/// Command: have a picture generated and saved into a project. Requests for the same picture share one rendering.
/// </summary>
/// <remarks>
/// Published to <c>generate-image</c>, in any order. Its receipt comes at the end: <c>applied</c> when the picture is
/// saved, <c>target-missing</c> when it is kept out of sight, <c>rejected</c> for what can never succeed (moderation
/// included), <c>failed</c> when the attempts or the deadline are spent, <c>superseded</c> when it was cancelled.
/// </remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="ImageId">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="SceneId">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="SceneIndex">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="Slot">As in <see cref="Saving.SaveImage"/>.</param>
/// <param name="Prompt">1 to 32,000 characters.</param>
/// <param name="Model">A name from the workers' configuration, such as <c>offline-painter</c>.</param>
/// <param name="Width">Pixels, 64 to 4,096.</param>
/// <param name="Height">Pixels, 64 to 4,096.</param>
/// <param name="Seed">Null where the model may choose; part of what makes two requests the same.</param>
/// <param name="Options">Up to 20 of the model's own settings, such as <c>quality</c>; names and values up to 200 characters.</param>
/// <param name="Deadline">UTC; no attempt begins after it. Null for none.</param>
/// <param name="Force">True renders anew, even where the same picture was rendered before.</param>
public sealed record GenerateImage(
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
    [
        StringLength(Limits.PromptLength, MinimumLength = 1),
        RegularExpression(Patterns.NoNul, ErrorMessage = Patterns.NoNulRule)
    ]
        string Prompt,
    [StringLength(Limits.ModelLength, MinimumLength = 1)] string Model,
    [Range(Limits.EdgeFirst, Limits.EdgeLast)] int Width,
    [Range(Limits.EdgeFirst, Limits.EdgeLast)] int Height,
    long? Seed,
    [Length(0, Limits.Options), StringLength(Limits.OptionLength)] IReadOnlyDictionary<string, string>? Options,
    DateTimeOffset? Deadline,
    [property: DefaultValue(false)] bool Force
);

/// <summary>
/// Command: generate pictures for a project's scenes, or some of them, from the scenes' own prompts. Its receipt is
/// <c>applied</c> when the single requests are queued; <see cref="StoryboardCompleted"/> tells the end.
/// </summary>
/// <remarks>
/// Published to <c>generate-storyboard</c>. The command id of each picture's request is
/// <c>UUIDv5(CommandId, "{sceneId}/{slot}")</c>, its image id
/// <c>UUIDv5(ProjectId, "image {CommandId} {sceneId}/{slot}")</c>.
/// </remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">A project whose scenes are defined.</param>
/// <param name="SceneIds">Null for all scenes.</param>
/// <param name="ImagesPerScene">1 to 10; they go into the slots from 0 and differ by their seed.</param>
/// <param name="Model">As in <see cref="GenerateImage"/>.</param>
/// <param name="Width">As in <see cref="GenerateImage"/>.</param>
/// <param name="Height">As in <see cref="GenerateImage"/>.</param>
/// <param name="Options">As in <see cref="GenerateImage"/>.</param>
/// <param name="Deadline">As in <see cref="GenerateImage"/>.</param>
/// <param name="Force">As in <see cref="GenerateImage"/>.</param>
public sealed record GenerateStoryboard(
    Guid CommandId,
    Guid ProjectId,
    [Length(1, Limits.Scenes), StringLength(Limits.SceneIdLength, MinimumLength = 1)] IReadOnlyList<string>? SceneIds,
    [Range(1, Limits.ImagesPerScene)] int ImagesPerScene,
    [StringLength(Limits.ModelLength, MinimumLength = 1)] string Model,
    [Range(Limits.EdgeFirst, Limits.EdgeLast)] int Width,
    [Range(Limits.EdgeFirst, Limits.EdgeLast)] int Height,
    [Length(0, Limits.Options), StringLength(Limits.OptionLength)] IReadOnlyDictionary<string, string>? Options,
    DateTimeOffset? Deadline,
    [property: DefaultValue(false)] bool Force
);

/// <summary>
/// Command: withdraw a project's open requests for a generation. Rendering stops when no request of any project is
/// left; what is rendered is saved.
/// </summary>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">Whose requests are withdrawn.</param>
/// <param name="GenerationId">The generation.</param>
/// <param name="ImageId">Only the requests for this image; null for all of the project.</param>
public sealed record CancelGeneration(Guid CommandId, Guid ProjectId, Guid GenerationId, Guid? ImageId);

/// <summary>
/// Command: open a project's failed and cancelled requests for a generation again. An image that is neither rendered
/// nor being rendered is given all its attempts anew.
/// </summary>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">Whose requests are opened.</param>
/// <param name="GenerationId">The generation.</param>
/// <param name="ImageId">Only the requests for this image; null for all of the project.</param>
public sealed record RetryGeneration(Guid CommandId, Guid ProjectId, Guid GenerationId, Guid? ImageId);

/// <summary>Event: the picture of a request is saved.</summary>
/// <param name="CommandId">The request.</param>
/// <param name="ProjectId">Its project.</param>
/// <param name="GenerationId">The generation that served it.</param>
/// <param name="ImageId">The picture.</param>
/// <param name="Attempts">Attempts that it took.</param>
/// <param name="At">UTC.</param>
public sealed record ImageGenerated(
    Guid CommandId,
    Guid ProjectId,
    Guid GenerationId,
    Guid ImageId,
    int Attempts,
    DateTimeOffset At
);

/// <summary>Event: a request has ended without a picture. A new request, or <c>retry-generation</c>, begins anew.</summary>
/// <param name="CommandId">The request.</param>
/// <param name="ProjectId">Its project.</param>
/// <param name="GenerationId">The generation.</param>
/// <param name="Outcome"><c>failed</c>, <c>rejected</c> or <c>superseded</c> (cancelled).</param>
/// <param name="Reason">For people.</param>
/// <param name="Attempts">Attempts that were made.</param>
/// <param name="At">UTC.</param>
public sealed record GenerationEnded(
    Guid CommandId,
    Guid ProjectId,
    Guid GenerationId,
    string Outcome,
    string Reason,
    int Attempts,
    DateTimeOffset At
);

/// <summary>Event: every picture of a storyboard's generation has its end.</summary>
/// <param name="CommandId">The storyboard's command.</param>
/// <param name="ProjectId">Its project.</param>
/// <param name="Requested">Pictures asked for.</param>
/// <param name="Saved">Pictures saved.</param>
/// <param name="MissingScenes">Scenes that lack a picture.</param>
/// <param name="At">UTC.</param>
public sealed record StoryboardCompleted(
    Guid CommandId,
    Guid ProjectId,
    int Requested,
    int Saved,
    IReadOnlyList<string> MissingScenes,
    DateTimeOffset At
);
