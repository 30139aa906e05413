using System.Security.Cryptography;
using Pipeline.Contracts.Importing;
using Pipeline.Wire;

namespace Pipeline.Publisher.Importing;

/// <summary>One picture to hand in: where it is, and where it belongs.</summary>
/// <param name="Name">
/// What it is called within its import: the path below the directory, the file's name or the URL. Part of the image's
/// id.
/// </param>
/// <param name="Location">The file's path, or the URL.</param>
/// <param name="IsUrl">The workers fetch it; nothing is uploaded.</param>
/// <param name="SceneId">Null for a picture of the project itself.</param>
/// <param name="Slot">Place within the scene.</param>
internal sealed record Picture(string Name, string Location, bool IsUrl, string? SceneId, int Slot)
{
    /// <summary>The command that hands it in. The same picture at the same place is the same command, however often it is run.</summary>
    /// <param name="project">Namespace of the derived ids.</param>
    /// <param name="content">
    /// SHA-256 of the file's bytes, null for a URL. Part of the command's id but not of the image's: a file that has
    /// changed is another command about the same picture, so it gets an answer of its own and no duplicate.
    /// </param>
    public ImportImage Command(Guid project, string? content)
    {
        var image = NameBasedGuid.Create(project, $"image:{SceneId}/{Slot}/{Name}");
        var command = NameBasedGuid.Create(image, $"import-image:{content}");
        return new ImportImage(
            command,
            project,
            image,
            SceneId,
            SceneIndex: null,
            Slot,
            IsUrl ? Location : null,
            IsUrl ? null : UploadKeys.Of(command)
        );
    }

    /// <summary>SHA-256 of the file, lower-case hexadecimal.</summary>
    public async Task<string> HashAsync(CancellationToken cancellation)
    {
        await using var file = File.OpenRead(Location);
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellation));
    }
}

/// <summary>Where files wait for their import: <c>uploads/{UUID}</c>, which is all that the workers take.</summary>
internal static class UploadKeys
{
    /// <summary>The key of a command's own upload.</summary>
    public static string Of(Guid command) => For(NameBasedGuid.Create(command, "upload"));

    /// <summary>The key of an upload that was asked for.</summary>
    public static string For(Guid upload) => $"uploads/{upload:D}";
}
