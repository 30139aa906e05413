using Pipeline.Contracts;
using Pipeline.Contracts.Importing;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>The rules of an <see cref="ImportImage"/> that need no server. Each answer names the field and the rule.</summary>
internal static class ImportRules
{
    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(ImportImage command) =>
        command switch
        {
            { ProjectId: var id } when id == Guid.Empty => "projectId: must not be empty or all zeros.",
            { ImageId: var id } when id == Guid.Empty => "imageId: must not be empty or all zeros.",
            { SceneId: { } scene } when RefuseText(scene) is { } rule => $"sceneId: {rule}",
            { SceneIndex: < 1 } => "sceneIndex: must be 1 or more.",
            { Slot: < 0 or > Limits.SlotLast } => $"slot: must be 0 to {Limits.SlotLast}.",
            { SourceUrl: null, UploadKey: null } or { SourceUrl: not null, UploadKey: not null } =>
                "sourceUrl, uploadKey: exactly one of them must be given.",
            { UploadKey: { } key } when !ObjectKeys.IsUpload(key) && !ObjectKeys.IsGenerated(key) =>
                "uploadKey: must be 'uploads/' and an id.",
            { SourceUrl: { } url } when SourceUrl.Refuse(url) is { } rule => $"sourceUrl: {rule}",
            _ => null,
        };

    private static string? RefuseText(string text) =>
        text.Length is 0 or > Limits.SceneIdLength ? $"must have 1 to {Limits.SceneIdLength} characters."
        : text.Any(char.IsControl) ? "must not contain control characters."
        : null;
}
