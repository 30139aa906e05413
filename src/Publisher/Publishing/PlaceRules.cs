using Pipeline.Contracts;

namespace Pipeline.Publisher.Publishing;

/// <summary>What can be seen to be wrong with a picture's place before it is sent. The workers' rules decide.</summary>
internal static class PlaceRules
{
    /// <returns>Each field with the rule that it breaks.</returns>
    public static IEnumerable<string> Problems(Guid? imageId, string? sceneId, int? sceneIndex, int? slot)
    {
        if (imageId == Guid.Empty)
            yield return "imageId: must not be all zeros";
        if (sceneId is not null && (sceneId.Length is 0 or > Limits.SceneIdLength || sceneId.Any(char.IsControl)))
            yield return $"sceneId: must have 1 to {Limits.SceneIdLength} characters and no control characters";
        if (sceneIndex is < 1 or > Limits.SceneIndexLast)
            yield return $"sceneIndex: must be 1 to {Limits.SceneIndexLast}";
        if (slot is null or < 0 or > Limits.SlotLast)
            yield return $"slot: must be 0 to {Limits.SlotLast}";
    }
}
