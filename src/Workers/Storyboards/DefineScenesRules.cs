using Pipeline.Contracts.Storyboards;
using Pipeline.Workers.Projects;

namespace Pipeline.Workers.Storyboards;

/// <summary>The rules of a <see cref="DefineScenes"/>. Each answer names the field and the rule.</summary>
internal static class DefineScenesRules
{
    private const int SceneLimit = 1_000;
    private const int IndexLimit = 1_000_000;

    // The longest prompt that the image models this feeds accept (OpenAI API reference, images).
    private const int PromptLength = 32_000;

    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(DefineScenes command)
    {
        if (command.Scenes is not { Count: > 0 and <= SceneLimit })
            return $"scenes: must hold 1 to {SceneLimit} scenes.";

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
            { Id: null or { Length: 0 or > Scene.IdLength } } => $"id: must have 1 to {Scene.IdLength} characters.",
            { Id: var id } when id.Any(char.IsControl) => "id: must not contain control characters.",
            { Index: < 1 or > IndexLimit } => $"index: is missing, or not 1 to {IndexLimit}.",
            { Prompt.Length: > PromptLength } => $"prompt: must have at most {PromptLength} characters.",
            { Prompt: { } prompt } when prompt.Contains('\0', StringComparison.Ordinal) =>
                "prompt: must not contain the character U+0000.",
            _ => null,
        };
}
