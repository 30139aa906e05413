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

/// <summary>The rules of a picture's bytes between its fields; those of one field are in the schema.</summary>
internal static class PictureRules
{
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
}
