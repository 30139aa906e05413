using Pipeline.Contracts.Importing;
using Pipeline.Workers.Projects;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>The rules of an <see cref="ImportImage"/> that need no server. Each answer names the field and the rule.</summary>
internal static class ImportRules
{
    private const int UrlLength = 2_048;
    private const int SlotLimit = 9_999;

    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(ImportImage command) =>
        command switch
        {
            { ProjectId: var id } when id == Guid.Empty => "projectId: must not be empty or all zeros.",
            { ImageId: var id } when id == Guid.Empty => "imageId: must not be empty or all zeros.",
            { SceneId: { } scene } when RefuseText(scene) is { } rule => $"sceneId: {rule}",
            { SceneIndex: < 1 } => "sceneIndex: must be 1 or more.",
            { Slot: < 0 or > SlotLimit } => $"slot: must be 0 to {SlotLimit}.",
            { SourceUrl: null, UploadKey: null } or { SourceUrl: not null, UploadKey: not null } =>
                "sourceUrl, uploadKey: exactly one of them must be given.",
            { UploadKey: { } key } when !ObjectKeys.IsUpload(key) => "uploadKey: must be 'uploads/' and an id.",
            { SourceUrl: { } url } when RefuseUrl(url) is { } rule => $"sourceUrl: {rule}",
            _ => null,
        };

    /// <returns>Null, or the rule that the URL breaks.</returns>
    public static string? RefuseUrl(Uri url) =>
        url.OriginalString.Length > UrlLength ? $"must have at most {UrlLength} characters."
        : url.Scheme != Uri.UriSchemeHttp && url.Scheme != Uri.UriSchemeHttps ? "must be http or https."
        : url.Host.Length == 0 ? "must name a host."
        : url.UserInfo.Length > 0 ? "must not contain a user name or password."
        : null;

    private static string? RefuseUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) ? RefuseUrl(url) : "must be an absolute URL.";

    private static string? RefuseText(string text) =>
        text.Length is 0 or > Scene.IdLength ? $"must have 1 to {Scene.IdLength} characters."
        : text.Any(char.IsControl) ? "must not contain control characters."
        : null;
}
