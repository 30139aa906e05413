using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Pipeline.Workers.Storage;

/// <summary>
/// The only kinds of key that the pipeline writes: <c>projects/{projectId}/{imageId}/{sha256}.{ext}</c>,
/// <c>generated/{generationId}/{sha256}.{ext}</c> and <c>uploads/{id}</c>. Made of ids and hexadecimal digits alone, so
/// nothing from outside becomes part of a key.
/// </summary>
internal static class ObjectKeys
{
    /// <summary>S3's limit, in bytes of UTF-8 (user guide, "Naming Amazon S3 objects").</summary>
    public const int ByteLimit = 1_024;

    public const string ImagesPrefix = "projects/";

    public const string GeneratedPrefix = "generated/";

    public const string UploadsPrefix = "uploads/";

    private const int Sha256Digits = 64;

    private static readonly Dictionary<string, string> ContentTypes = new(StringComparer.Ordinal)
    {
        ["png"] = "image/png",
        ["jpg"] = "image/jpeg",
        ["gif"] = "image/gif",
        ["webp"] = "image/webp",
        ["avif"] = "image/avif",
    };

    /// <summary>The key of a picture's bytes.</summary>
    /// <param name="projectId">Not all zeros.</param>
    /// <param name="imageId">Not all zeros.</param>
    /// <param name="sha256">Of the bytes, 64 lower-case hexadecimal digits.</param>
    /// <param name="extension"><c>png</c>, <c>jpg</c>, <c>gif</c>, <c>webp</c> or <c>avif</c>.</param>
    /// <exception cref="ArgumentException">A bug of the caller: one of them is not so.</exception>
    public static string ForImage(Guid projectId, Guid imageId, string sha256, string extension)
    {
        if (projectId == Guid.Empty)
            throw new ArgumentException("The project's id is all zeros.", nameof(projectId));
        if (imageId == Guid.Empty)
            throw new ArgumentException("The picture's id is all zeros.", nameof(imageId));

        return $"{ImagesPrefix}{projectId:D}/{imageId:D}/{FileOf(sha256, extension)}";
    }

    /// <summary>Reads a picture's key; false for anything that <see cref="ForImage"/> does not make.</summary>
    public static bool TryParseImage(string? key, [NotNullWhen(true)] out ImageKey? parsed)
    {
        parsed = null;
        if (
            key?.Split('/') is not ["projects", var project, var image, var file]
            || file.Split('.') is not [var sha256, var extension]
        )
            return false;
        if (!TryParseId(project, out var projectId) || !TryParseId(image, out var imageId) || !IsSha256(sha256))
            return false;
        if (!ContentTypes.TryGetValue(extension, out var contentType))
            return false;

        parsed = new ImageKey(projectId, imageId, sha256, extension, contentType);
        return true;
    }

    /// <summary>The key of a picture that was generated, before any project has it.</summary>
    /// <param name="generationId">Not all zeros.</param>
    /// <param name="sha256">As in <see cref="ForImage"/>.</param>
    /// <param name="extension">As in <see cref="ForImage"/>.</param>
    /// <exception cref="ArgumentException">A bug of the caller: one of them is not so.</exception>
    public static string ForGenerated(Guid generationId, string sha256, string extension) =>
        generationId == Guid.Empty
            ? throw new ArgumentException("The generation's id is all zeros.", nameof(generationId))
            : $"{GeneratedPrefix}{generationId:D}/{FileOf(sha256, extension)}";

    /// <summary>False for anything that <see cref="ForGenerated"/> does not make.</summary>
    public static bool IsGenerated([NotNullWhen(true)] string? key) =>
        key?.Split('/') is ["generated", var generation, var file]
        && file.Split('.') is [var sha256, var extension]
        && TryParseId(generation, out _)
        && IsSha256(sha256)
        && ContentTypes.ContainsKey(extension);

    /// <summary>The key where the publisher puts a file that is to be imported.</summary>
    public static string ForUpload(Guid id) =>
        id == Guid.Empty
            ? throw new ArgumentException("The upload's id is all zeros.", nameof(id))
            : $"{UploadsPrefix}{id:D}";

    public static bool IsUpload([NotNullWhen(true)] string? key) =>
        key is not null
        && key.StartsWith(UploadsPrefix, StringComparison.Ordinal)
        && TryParseId(key[UploadsPrefix.Length..], out _);

    /// <summary>Refuses what S3 does not take and what an HTTP client would silently turn into another key.</summary>
    /// <exception cref="ArgumentException">A bug of the caller.</exception>
    public static void Check(string key)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        if (Encoding.UTF8.GetByteCount(key) > ByteLimit)
            throw new ArgumentException($"The key is longer than {ByteLimit} bytes.", nameof(key));
        if (key.Any(char.IsControl))
            throw new ArgumentException("The key has control characters.", nameof(key));
        if (key.Split('/').Any(segment => segment is "." or ".."))
            throw new ArgumentException("The key has a segment '.' or '..', which URLs resolve.", nameof(key));
    }

    private static string FileOf(string sha256, string extension)
    {
        if (!IsSha256(sha256))
            throw new ArgumentException("Not 64 lower-case hexadecimal digits.", nameof(sha256));
        if (!ContentTypes.ContainsKey(extension))
            throw new ArgumentException("Not an extension of a picture.", nameof(extension));
        return $"{sha256}.{extension}";
    }

    // Only as ForImage writes it: another spelling of the same id would be another key.
    private static bool TryParseId(string text, out Guid id) =>
        Guid.TryParseExact(text, "D", out id) && id != Guid.Empty && id.ToString("D") == text;

    private static bool IsSha256(string text) => text.Length == Sha256Digits && text.All(char.IsAsciiHexDigitLower);
}

/// <summary>What a picture's key says.</summary>
/// <param name="ProjectId">Its project.</param>
/// <param name="ImageId">The picture.</param>
/// <param name="Sha256">Of its bytes, 64 lower-case hexadecimal digits.</param>
/// <param name="Extension">Without the dot.</param>
/// <param name="ContentType">The media type that belongs to the extension.</param>
internal sealed record ImageKey(Guid ProjectId, Guid ImageId, string Sha256, string Extension, string ContentType);
