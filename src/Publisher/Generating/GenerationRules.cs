using Pipeline.Contracts;
using Pipeline.Publisher.Publishing;

namespace Pipeline.Publisher.Generating;

/// <summary>How pictures are to be rendered: what single requests and storyboards share.</summary>
/// <param name="Model">A name from the workers' configuration.</param>
/// <param name="Width">Pixels.</param>
/// <param name="Height">Pixels.</param>
/// <param name="Options">The model's own settings; null for none.</param>
/// <param name="Deadline">No attempt begins after it; null for none.</param>
/// <param name="Force">Renders anew what was rendered before.</param>
internal sealed record RenderWish(
    string Model,
    int Width,
    int Height,
    IReadOnlyDictionary<string, string>? Options,
    DateTimeOffset? Deadline,
    bool Force
)
{
    public const string ModelDefault = "offline-painter";
    public const int SizeDefault = 512;
}

/// <summary>
/// What can be seen to be wrong with a request before it is sent. The workers' rules decide; these tell at once, and
/// tell everything.
/// </summary>
internal static class GenerationRules
{
    public static IEnumerable<string> Picture(string? prompt, string? sceneId, int? sceneIndex, int? slot)
    {
        if (string.IsNullOrWhiteSpace(prompt) || prompt.Length > Limits.PromptLength)
            yield return $"prompt: must have 1 to {Limits.PromptLength} characters";
        else if (prompt.Contains('\0', StringComparison.Ordinal))
            yield return "prompt: must not contain the character U+0000";
        if (sceneId is not null && !IsSceneId(sceneId))
            yield return $"sceneId: must have 1 to {Limits.SceneIdLength} characters and no control characters";
        if (sceneIndex is < 1 or > Limits.SceneIndexLast)
            yield return $"sceneIndex: must be 1 to {Limits.SceneIndexLast}";
        if (slot is null or < 0 or > Limits.SlotLast)
            yield return $"slot: must be 0 to {Limits.SlotLast}";
    }

    public static IEnumerable<string> Storyboard(IReadOnlyList<string?>? sceneIds, int? imagesPerScene)
    {
        if (sceneIds is { Count: 0 or > Limits.Scenes })
            yield return $"sceneIds: must name 1 to {Limits.Scenes} scenes, or be null for all";
        else if (sceneIds?.Any(x => x is null || !IsSceneId(x)) == true)
            yield return $"sceneIds: each must have 1 to {Limits.SceneIdLength} characters and no control characters";
        else if (sceneIds is not null && sceneIds.Distinct(StringComparer.Ordinal).Count() < sceneIds.Count)
            yield return "sceneIds: one stands twice";
        if (imagesPerScene is < 1 or > Limits.ImagesPerScene)
            yield return $"imagesPerScene: must be 1 to {Limits.ImagesPerScene}";
    }

    public static IEnumerable<string> Wish(RenderWish wish, DateTimeOffset now)
    {
        if (
            string.IsNullOrWhiteSpace(wish.Model)
            || wish.Model.Length > Limits.ModelLength
            || wish.Model.Any(char.IsControl)
        )
            yield return $"model: must have 1 to {Limits.ModelLength} characters and no control characters";
        if (wish.Width is < Limits.EdgeFirst or > Limits.EdgeLast)
            yield return $"width: must be {Limits.EdgeFirst} to {Limits.EdgeLast}";
        if (wish.Height is < Limits.EdgeFirst or > Limits.EdgeLast)
            yield return $"height: must be {Limits.EdgeFirst} to {Limits.EdgeLast}";
        if (wish.Options?.Count > Limits.Options)
            yield return $"options: must be at most {Limits.Options}, not {wish.Options.Count}";
        foreach (var (name, value) in wish.Options ?? new Dictionary<string, string>(StringComparer.Ordinal))
        {
            // JSON may hold null where the type says otherwise.
            if (name.Length is 0 or > Limits.OptionLength || (string?)value is not { Length: <= Limits.OptionLength })
                yield return $"options: a name has 1 to {Limits.OptionLength} characters, its value at most {Limits.OptionLength}";
        }

        if (wish.Deadline <= now)
            yield return $"deadline: must be in the future, and {wish.Deadline:u} is not";
    }

    private static bool IsSceneId(string id) => id.Length is > 0 and <= Limits.SceneIdLength && !id.Any(char.IsControl);
}
