using Pipeline.Contracts;
using Pipeline.Contracts.Saving;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Saving;

/// <summary>A picture's bytes, as a save or a replacement describes them.</summary>
internal sealed record Picture(
    string ObjectKey,
    string Sha256,
    string ContentType,
    long ByteLength,
    int Width,
    int Height
)
{
    public static Picture Of(SaveImage x) => new(x.ObjectKey, x.Sha256, x.ContentType, x.ByteLength, x.Width, x.Height);

    public static Picture Of(ReplaceImage x) =>
        new(x.ObjectKey, x.Sha256, x.ContentType, x.ByteLength, x.Width, x.Height);
}

/// <summary>The rules of a picture's bytes that need no database. Each answer names the field and the rule.</summary>
internal static class PictureRules
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
    public static string? Refuse(Picture picture, Guid projectId, Guid imageId) =>
        picture switch
        {
            { Sha256: var hash } when !IsHash(hash) => "sha256: must be 64 lower-case hexadecimal digits.",
            { ContentType: var type } when type is null || !Extensions.ContainsKey(type) =>
                $"contentType: must be one of {string.Join(", ", Extensions.Keys)}.",
            { ByteLength: < 1 or > Limits.PictureBytes } => $"byteLength: must be 1 to {Limits.PictureBytes}.",
            { Width: < 1 } => "width: must be 1 or more.",
            { Height: < 1 } => "height: must be 1 or more.",
            _ when (long)picture.Width * picture.Height > Limits.PicturePixels =>
                $"width × height: must be at most {Limits.PicturePixels} pixels.",
            _ when !IsKeyOf(picture, projectId, imageId) =>
                $"objectKey: must be '{ObjectKeys.PrefixOfImage(projectId, imageId)}{picture.Sha256}.{Extensions[picture.ContentType]}'.",
            _ => null,
        };

    // The key carries owner and content, so that it can neither point at another project's object nor at other bytes.
    private static bool IsKeyOf(Picture picture, Guid projectId, Guid imageId) =>
        ObjectKeys.TryParseImage(picture.ObjectKey, out var key)
        && (key.ProjectId, key.ImageId) == (projectId, imageId)
        && (key.Sha256, key.ContentType) == (picture.Sha256, picture.ContentType);

    private static bool IsHash(string? hash) => hash is { Length: Sha256Length } && hash.All(char.IsAsciiHexDigitLower);
}
