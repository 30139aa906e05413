using Pipeline.Contracts;
using Pipeline.Contracts.Saving;

namespace Pipeline.Workers.Saving;

/// <summary>The rules of a <see cref="SaveImage"/> that need no database. Each answer names the field and the rule.</summary>
internal static class SaveImageRules
{
    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(SaveImage command) =>
        command switch
        {
            { ImageId: var id } when id == Guid.Empty => "imageId: must not be empty or all zeros.",
            { SceneId: { } scene } when RefuseText(scene) is { } rule => $"sceneId: {rule}",
            { SceneIndex: < 1 } => "sceneIndex: must be 1 or more.",
            { Slot: < 0 or > Limits.SlotLast } => $"slot: must be 0 to {Limits.SlotLast}.",
            _ => PictureRules.Refuse(Picture.Of(command), command.ProjectId, command.ImageId),
        };

    private static string? RefuseText(string text) =>
        text.Length is 0 or > Limits.SceneIdLength ? $"must have 1 to {Limits.SceneIdLength} characters."
        : text.Any(char.IsControl) ? "must not contain control characters."
        : null;
}
