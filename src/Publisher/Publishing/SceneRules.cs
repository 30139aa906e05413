using Pipeline.Contracts;
using Pipeline.Contracts.Storyboards;

namespace Pipeline.Publisher.Publishing;

/// <summary>A scene as somebody wrote it, before it is known to be complete.</summary>
internal sealed record SceneText(string? Id, int? Index, string? Prompt);

/// <summary>
/// What can be seen to be wrong with a storyboard before it is sent. The workers' rules decide; these tell at once, and
/// tell everything.
/// </summary>
internal static class SceneRules
{
    // More would scroll the first ones out of sight.
    private const int ProblemLimit = 10;

    /// <returns>The scenes, unaltered and in their order; or what is wrong, each with its place.</returns>
    public static (IReadOnlyList<SceneDefinition> Scenes, IReadOnlyList<string> Problems) Check(
        IReadOnlyList<SceneText?>? scenes
    )
    {
        if (scenes is not { Count: > 0 and <= Limits.Scenes })
            return (
                [],
                [$"scenes: must hold 1 to {Limits.Scenes} scenes{(scenes is null ? "" : $", not {scenes.Count}")}"]
            );

        var problems = Problems(scenes).Take(ProblemLimit).ToList();
        return problems.Count > 0
            ? ([], problems)
            : ([.. scenes.Select(x => new SceneDefinition(x?.Id ?? "", x?.Index ?? 0, x?.Prompt))], []);
    }

    private static IEnumerable<string> Problems(IReadOnlyList<SceneText?> scenes)
    {
        var ids = new HashSet<string>(StringComparer.Ordinal);
        var indexes = new HashSet<int>();
        for (var i = 0; i < scenes.Count; i++)
        {
            var (id, index, prompt) = scenes[i] ?? new SceneText(null, null, null);
            if (id is not { Length: > 0 and <= Limits.SceneIdLength })
                yield return $"scenes[{i}].id: must have 1 to {Limits.SceneIdLength} characters";
            else if (id.Any(char.IsControl))
                yield return $"scenes[{i}].id: must not contain control characters";
            else if (!ids.Add(id))
                yield return $"scenes[{i}].id: '{id}' stands twice";

            if (index is null)
                yield return $"scenes[{i}].index: is missing";
            else if (index is < 1 or > Limits.SceneIndexLast)
                yield return $"scenes[{i}].index: must be 1 to {Limits.SceneIndexLast}, not {index}";
            else if (!indexes.Add(index.Value))
                yield return $"scenes[{i}].index: {index} stands twice";

            if (prompt?.Length > Limits.PromptLength)
                yield return $"scenes[{i}].prompt: must have at most {Limits.PromptLength} characters, not {prompt.Length}";
            else if (prompt?.Contains('\0', StringComparison.Ordinal) == true)
                yield return $"scenes[{i}].prompt: must not contain the character U+0000";
        }
    }
}
