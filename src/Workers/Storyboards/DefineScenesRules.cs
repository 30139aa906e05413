using Pipeline.Contracts.Storyboards;

namespace Pipeline.Workers.Storyboards;

/// <summary>The rules of a <see cref="DefineScenes"/> between its scenes; those of one field are in its schema.</summary>
internal static class DefineScenesRules
{
    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(DefineScenes command)
    {
        var ids = new HashSet<string>(StringComparer.Ordinal);
        var indexes = new HashSet<int>();
        for (var i = 0; i < command.Scenes.Count; i++)
        {
            if (!ids.Add(command.Scenes[i].Id))
                return $"scenes[{i}].id: '{command.Scenes[i].Id}' stands twice.";
            if (!indexes.Add(command.Scenes[i].Index))
                return $"scenes[{i}].index: {command.Scenes[i].Index} stands twice.";
        }

        return null;
    }
}
