using Pipeline.Publisher.Importing;

namespace Pipeline.Publisher.Publishing;

/// <summary>What can be seen to be wrong with a picture's place before it is sent. The workers' rules decide.</summary>
internal static class PlaceRules
{
    /// <returns>Each field with the rule that it breaks.</returns>
    public static IEnumerable<string> Problems(Guid? imageId, string? sceneId, int? sceneIndex, int? slot)
    {
        if (imageId == Guid.Empty)
            yield return "imageId: must not be all zeros";
        if (sceneId is not null && (sceneId.Length is 0 or > SceneRules.IdLength || sceneId.Any(char.IsControl)))
            yield return $"sceneId: must have 1 to {SceneRules.IdLength} characters and no control characters";
        if (sceneIndex is < 1 or > SceneRules.IndexLimit)
            yield return $"sceneIndex: must be 1 to {SceneRules.IndexLimit}";
        if (slot is null or < 0 or > ImportPlan.SlotLimit)
            yield return $"slot: must be 0 to {ImportPlan.SlotLimit}";
    }
}
