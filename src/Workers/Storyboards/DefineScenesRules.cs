using Pipeline.Contracts;
using Pipeline.Contracts.Storyboards;

namespace Pipeline.Workers.Storyboards;

/// <summary>The rules of a <see cref="DefineScenes"/>. Each answer names the field and the rule.</summary>
internal static class DefineScenesRules
{
    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(DefineScenes command)
    {
        if (command.Scenes is not { Count: > 0 and <= Limits.Scenes })
            return $"scenes: must hold 1 to {Limits.Scenes} scenes.";

        var ids = new HashSet<string>(StringComparer.Ordinal);
        var indexes = new HashSet<int>();
        for (var i = 0; i < command.Scenes.Count; i++)
        {
            if (Refuse(command.Scenes[i]) is { } rule)
                return $"scenes[{i}].{rule}";
            if (!ids.Add(command.Scenes[i].Id))
                return $"scenes[{i}].id: '{command.Scenes[i].Id}' stands twice.";
            if (!indexes.Add(command.Scenes[i].Index))
                return $"scenes[{i}].index: {command.Scenes[i].Index} stands twice.";
        }

        return null;
    }

    private static string? Refuse(SceneDefinition? scene) =>
        scene switch
        {
            null => "id: is missing.",
            { Id: null or { Length: 0 or > Limits.SceneIdLength } } =>
                $"id: must have 1 to {Limits.SceneIdLength} characters.",
            { Id: var id } when id.Any(char.IsControl) => "id: must not contain control characters.",
            { Index: < 1 or > Limits.SceneIndexLast } => $"index: is missing, or not 1 to {Limits.SceneIndexLast}.",
            { Prompt.Length: > Limits.PromptLength } => $"prompt: must have at most {Limits.PromptLength} characters.",
            { Prompt: { } prompt } when prompt.Contains('\0', StringComparison.Ordinal) =>
                "prompt: must not contain the character U+0000.",
            _ => null,
        };
}
