using System.Text.Json;
using System.Text.Json.Serialization;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Publishing;

/// <summary>A storyboard as a file: <c>{title, imagesPerScene, scenes:[{id,index,prompt}]}</c>, or a bare DefineScenes.</summary>
/// <param name="ImagesPerScene">How many pictures each scene is to have; null where the file does not say.</param>
/// <param name="CommandId">Where the file is a bare command.</param>
/// <param name="ProjectId">Where the file is a bare command.</param>
/// <param name="Scenes">As the file has them.</param>
internal sealed record SceneFile(
    int? ImagesPerScene,
    Guid? CommandId,
    Guid? ProjectId,
    IReadOnlyList<SceneDefinition> Scenes
)
{
    /// <summary>1 MiB: a longer message the lanes refuse, unless they are configured otherwise.</summary>
    public const int ByteLimit = 1024 * 1024;

    private static readonly JsonSerializerOptions Reading = new(JsonSerializerDefaults.Web)
    {
        // "index": "1" would otherwise be read as a number, and the file be altered in silence.
        NumberHandling = JsonNumberHandling.Strict,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    /// <param name="path">A file; <c>-</c> is stdin.</param>
    /// <param name="cancellation">Ends the reading.</param>
    /// <exception cref="UsageException">Absent, too long, no JSON or no storyboard.</exception>
    public static async Task<SceneFile> ReadAsync(string path, CancellationToken cancellation)
    {
        if (path != "-" && !File.Exists(path))
            throw new UsageException($"{path}: there is no such file.");
        await using var file = path == "-" ? Console.OpenStandardInput() : File.OpenRead(path);
        using var text = new MemoryStream();
        var buffer = new byte[64 * 1024];
        for (int read; (read = await file.ReadAsync(buffer, cancellation)) > 0; )
        {
            text.Write(buffer, 0, read);
            if (text.Length > ByteLimit)
                throw new UsageException($"{path}: is longer than {ByteLimit} bytes.");
        }

        return Parse(path, text.GetBuffer().AsSpan(0, (int)text.Length));
    }

    /// <inheritdoc cref="ReadAsync" path="/exception"/>
    public static SceneFile Parse(string name, ReadOnlySpan<byte> json)
    {
        // A byte order mark is common in files from Windows and no part of the JSON.
        if (json.StartsWith("\uFEFF"u8))
            json = json[3..];

        Written? written;
        try
        {
            written = JsonSerializer.Deserialize<Written>(json, Reading);
        }
        catch (JsonException e)
        {
            throw new UsageException($"{name}: is no storyboard: {JsonErrors.Describe(e)}");
        }

        if (written is null)
            throw new UsageException($"{name}: holds null, no storyboard.");
        var (scenes, problems) = SceneRules.Check(written.Scenes);
        if (problems.Count > 0)
            throw new UsageException($"{name}: {string.Join("; ", problems)}.");
        if (written.ImagesPerScene is < 0)
            throw new UsageException($"{name}: imagesPerScene: must be 0 or more.");
        return new SceneFile(written.ImagesPerScene, written.CommandId, written.ProjectId, scenes);
    }

    private sealed record Written(
        int? ImagesPerScene,
        Guid? CommandId,
        Guid? ProjectId,
        IReadOnlyList<SceneText?>? Scenes
    );
}
