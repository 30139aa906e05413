using System.Text.Json;

namespace Pipeline.Workers.Painting;

/// <summary>A storyboard file, such as <c>samples/storyboard.json</c>.</summary>
/// <param name="Title">For people.</param>
/// <param name="ImagesPerScene">1 to 100; null where the command line has to say it.</param>
/// <param name="Scenes">1 to 1,000.</param>
internal sealed record Storyboard(string? Title, int? ImagesPerScene, IReadOnlyList<StoryboardScene>? Scenes)
{
    private const int ScenesMax = 1_000;
    private const int IdLength = 100;

    /// <exception cref="StoryboardException">The file is not there, or is no storyboard; the message says what is wrong.</exception>
    public static async Task<Storyboard> ReadAsync(FileInfo file, CancellationToken cancellation)
    {
        try
        {
            await using var stream = file.OpenRead();
            var storyboard = await JsonSerializer.DeserializeAsync<Storyboard>(
                stream,
                JsonSerializerOptions.Web,
                cancellation
            );
            return storyboard?.Problem() is { } problem
                ? throw new StoryboardException(file, problem)
                : storyboard ?? throw new StoryboardException(file, "It is empty.");
        }
        catch (JsonException e)
        {
            throw new StoryboardException(file, $"It is no JSON of the right shape: {e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StoryboardException(file, e.Message);
        }
    }

    private string? Problem()
    {
        if (Scenes is null || Scenes.Count is 0 or > ScenesMax)
            return $"It must have 1 to {ScenesMax} scenes.";
        if (Scenes.FirstOrDefault(x => !IsFolderName(x.Id)) is { } odd)
            return $"The scene id '{odd.Id}' cannot be a folder's name: 1 to {IdLength} letters, digits, '-' and '_'.";
        return Scenes.DistinctBy(x => x.Id, StringComparer.OrdinalIgnoreCase).Count() == Scenes.Count
            ? null
            : "Two scenes have the same id.";
    }

    // The id becomes a folder, so it must not lead out of the directory that was asked for.
    private static bool IsFolderName(string? id) =>
        id is { Length: >= 1 and <= IdLength } && id.All(x => char.IsAsciiLetterOrDigit(x) || x is '-' or '_');
}

/// <summary>One scene of a storyboard file.</summary>
/// <param name="Id">Also the folder of its pictures.</param>
/// <param name="Index">Its place.</param>
/// <param name="Prompt">What its pictures show.</param>
internal sealed record StoryboardScene(string Id, int Index, string? Prompt);

/// <summary>A file that is no storyboard.</summary>
internal sealed class StoryboardException(FileInfo file, string problem) : Exception($"{file}: {problem}");
