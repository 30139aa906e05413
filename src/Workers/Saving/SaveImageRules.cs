using Pipeline.Contracts;
using Pipeline.Contracts.Saving;

namespace Pipeline.Workers.Saving;

/// <summary>The rules of a <see cref="SaveImage"/> that need no database. Each answer names the field and the rule.</summary>
internal static class SaveImageRules
{
    private const int Sha256Length = 64;

    private static readonly Dictionary<string, string> Extensions = new(StringComparer.Ordinal)
    {
        ["image/png"] = "png",
        ["image/jpeg"] = "jpg",
        ["image/gif"] = "gif",
        ["image/webp"] = "webp",
        ["image/avif"] = "avif",
    };

    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(SaveImage command) =>
        command switch
        {
            { ImageId: var id } when id == Guid.Empty => "imageId: must not be empty or all zeros.",
            { SceneId: { } scene } when RefuseText(scene) is { } rule => $"sceneId: {rule}",
            { SceneIndex: < 1 } => "sceneIndex: must be 1 or more.",
            { Slot: < 0 or > Limits.SlotLast } => $"slot: must be 0 to {Limits.SlotLast}.",
            { Sha256: var hash } when !IsHash(hash) => "sha256: must be 64 lower-case hexadecimal digits.",
            { ContentType: var type } when type is null || !Extensions.ContainsKey(type) =>
                $"contentType: must be one of {string.Join(", ", Extensions.Keys)}.",
            { ByteLength: < 1 or > Limits.PictureBytes } => $"byteLength: must be 1 to {Limits.PictureBytes}.",
            { Width: < 1 } => "width: must be 1 or more.",
            { Height: < 1 } => "height: must be 1 or more.",
            _ when (long)command.Width * command.Height > Limits.PicturePixels =>
                $"width × height: must be at most {Limits.PicturePixels} pixels.",
            _ when command.ObjectKey != ExpectedKey(command) => $"objectKey: must be '{ExpectedKey(command)}'.",
            _ => null,
        };

    // The key carries owner and content, so that it can neither point at another project's object nor at other bytes.
    private static string ExpectedKey(SaveImage command) =>
        $"projects/{command.ProjectId:D}/{command.ImageId:D}/{command.Sha256}.{Extensions[command.ContentType]}";

    private static string? RefuseText(string text) =>
        text.Length is 0 or > Limits.SceneIdLength ? $"must have 1 to {Limits.SceneIdLength} characters."
        : text.Any(char.IsControl) ? "must not contain control characters."
        : null;

    private static bool IsHash(string? hash) =>
        hash is { Length: Sha256Length } && hash.All(x => x is (>= '0' and <= '9') or (>= 'a' and <= 'f'));
}
