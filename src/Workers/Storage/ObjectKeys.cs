using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Pipeline.Workers.Storage;

/// <summary>
/// The only kinds of key that the pipeline writes: <c>projects/{projectId}/{imageId}/{sha256}.{ext}</c> (or
/// <c>{sha256}-{n}.{ext}</c>, where the earlier ones were purged), <c>generated/{generationId}/{sha256}.{ext}</c> and
/// <c>uploads/{id}</c>. Made of ids and digits alone, so nothing from outside becomes part of a key.
/// </summary>
internal static class ObjectKeys
{
    /// <summary>S3's limit, in bytes of UTF-8 (user guide, "Naming Amazon S3 objects").</summary>
    public const int ByteLimit = 1_024;

    public const string ImagesPrefix = "projects/";

    public const string GeneratedPrefix = "generated/";

    public const string UploadsPrefix = "uploads/";

    /// <summary>How often the same bytes may come back to one picture after they were purged.</summary>
    public const int CopyLimit = 999;

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
    /// <param name="copy">
    /// 1 to <see cref="CopyLimit"/>: one more than there were purged keys of the same bytes, because a purged key is
    /// never used again.
    /// </param>
    /// <exception cref="ArgumentException">A bug of the caller: one of them is not so.</exception>
    public static string ForImage(Guid projectId, Guid imageId, string sha256, string extension, int copy = 1)
    {
        if (copy is < 1 or > CopyLimit)
            throw new ArgumentException($"The copy is not 1 to {CopyLimit}.", nameof(copy));
        if (projectId == Guid.Empty)
            throw new ArgumentException("The project's id is all zeros.", nameof(projectId));
        if (imageId == Guid.Empty)
            throw new ArgumentException("The picture's id is all zeros.", nameof(imageId));

        return PrefixOfImage(projectId, imageId) + FileOf(sha256, extension, copy);
    }

    /// <summary>What the keys of all of a picture's bytes begin with.</summary>
    public static string PrefixOfImage(Guid projectId, Guid imageId) => $"{PrefixOfProject(projectId)}{imageId:D}/";

    /// <summary>What the keys of all pictures of a project begin with.</summary>
    public static string PrefixOfProject(Guid projectId) => $"{ImagesPrefix}{projectId:D}/";

    /// <summary>Reads a picture's key; false for anything that <see cref="ForImage"/> does not make.</summary>
    public static bool TryParseImage(string? key, [NotNullWhen(true)] out ImageKey? parsed)
    {
        parsed = null;
        if (
            key?.Split('/') is not ["projects", var project, var image, var file]
            || file.Split('.') is not [var name, var extension]
        )
            return false;
        if (!TryParseId(project, out var projectId) || !TryParseId(image, out var imageId))
            return false;
        var (sha256, copy) = name.Split('-') switch
        {
            [var hash] => (hash, "2"), // The first copy has no number.
            [var hash, var number] => (hash, number),
            _ => ("", ""),
        };
        if (!IsSha256(sha256) || !IsNumber(copy, CopyLimit))
            return false;
        if (!ContentTypes.TryGetValue(extension, out var contentType))
            return false;

        parsed = new ImageKey(projectId, imageId, sha256, extension, contentType);
        return true;
    }

    /// <summary>The key of an image that was generated, before any project has it.</summary>
    /// <remarks>
    /// Each attempt has a key of its own, also for the same bytes: a late deletion of an earlier original cannot hit
    /// the one that was rendered after it.
    /// </remarks>
    /// <param name="generationId">Not all zeros.</param>
    /// <param name="sha256">As in <see cref="ForImage"/>.</param>
    /// <param name="extension">As in <see cref="ForImage"/>.</param>
    /// <param name="attempt">From 1.</param>
    /// <exception cref="ArgumentException">A bug of the caller: one of them is not so.</exception>
    public static string ForGenerated(Guid generationId, string sha256, string extension, int attempt = 1) =>
        generationId == Guid.Empty ? throw new ArgumentException("The id is all zeros.", nameof(generationId))
        : attempt < 1 ? throw new ArgumentException("Attempts count from 1.", nameof(attempt))
        : PrefixOfGeneration(generationId) + FileOf(sha256, extension, attempt);

    /// <summary>What the keys of all originals of a generation begin with.</summary>
    public static string PrefixOfGeneration(Guid generationId) => $"{GeneratedPrefix}{generationId:D}/";

    /// <summary>False for anything that <see cref="ForGenerated"/> does not make.</summary>
    public static bool IsGenerated([NotNullWhen(true)] string? key) => AttemptOf(key) > 0;

    /// <summary>The attempt that made an original; 0 for anything that <see cref="ForGenerated"/> does not make.</summary>
    public static int AttemptOf(string? key)
    {
        if (
            key?.Split('/') is not ["generated", var generation, var file]
            || file.Split('.') is not [var name, var extension]
            || !TryParseId(generation, out _)
            || !ContentTypes.ContainsKey(extension)
        )
            return 0;
        return name.Split('-') switch
        {
            [var hash] when IsSha256(hash) => 1,
            [var hash, var number] when IsSha256(hash) && IsNumber(number, int.MaxValue) => int.Parse(
                number,
                CultureInfo.InvariantCulture
            ),
            _ => 0,
        };
    }

    /// <summary>The key where the publisher puts a file that is to be imported.</summary>
    public static string ForUpload(Guid id) =>
        id == Guid.Empty
            ? throw new ArgumentException("The upload's id is all zeros.", nameof(id))
            : $"{UploadsPrefix}{id:D}";

    public static bool IsUpload([NotNullWhen(true)] string? key) =>
        key is not null
        && key.StartsWith(UploadsPrefix, StringComparison.Ordinal)
        && TryParseId(key[UploadsPrefix.Length..], out _);

    /// <summary>Refuses what <see cref="Problem"/> names.</summary>
    /// <exception cref="ArgumentException">A bug of the caller.</exception>
    public static void Check(string key)
    {
        if (Problem(key) is { } problem)
            throw new ArgumentException($"The key {problem}.", nameof(key));
    }

    /// <summary>Whether an HTTP client would turn the key into another one.</summary>
    public static bool HasDots(string key) => key.Split('/').Any(segment => segment is "." or "..");

    // The first one has no number.
    private static bool IsNumber(string text, int last) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        && number >= 2
        && number <= last
        && number.ToString(CultureInfo.InvariantCulture) == text;

    /// <summary>What S3 does not take, and what an HTTP client would silently turn into another key; null for a good one.</summary>
    public static string? Problem(string? key) =>
        string.IsNullOrEmpty(key) ? "must not be empty"
        : Encoding.UTF8.GetByteCount(key) > ByteLimit ? $"must have at most {ByteLimit} bytes"
        : key.Any(char.IsControl) ? "must not contain control characters"
        : HasDots(key) ? "must not have a segment '.' or '..', which URLs resolve"
        : null;

    private static string FileOf(string sha256, string extension, int copy = 1)
    {
        if (!IsSha256(sha256))
            throw new ArgumentException("Not 64 lower-case hexadecimal digits.", nameof(sha256));
        if (!ContentTypes.ContainsKey(extension))
            throw new ArgumentException("Not an extension of a picture.", nameof(extension));
        return copy == 1 ? $"{sha256}.{extension}" : $"{sha256}-{copy}.{extension}";
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
