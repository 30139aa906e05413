using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Play;

/// <summary>What is going to be sent, and what is to come of it.</summary>
/// <param name="Project">The project.</param>
/// <param name="Definition">The storyboard's scenes, as the file has them.</param>
/// <param name="Scenes">In the order of their index.</param>
/// <param name="Pictures">All pictures, scene by scene.</param>
internal sealed record PlayPlan(
    Guid Project,
    IReadOnlyList<SceneDefinition> Definition,
    IReadOnlyList<ScenePlan> Scenes,
    IReadOnlyList<Picture> Pictures
)
{
    /// <exception cref="UsageException">A picture has no scene, or one that the storyboard has not.</exception>
    public static PlayPlan Of(Guid project, SceneFile storyboard, IReadOnlyList<Picture> pictures)
    {
        var known = storyboard.Scenes.Select(x => x.Id).ToHashSet(StringComparer.Ordinal);
        foreach (var picture in pictures)
        {
            if (picture.SceneId is null || !known.Contains(picture.SceneId))
                throw new UsageException(
                    $"{picture.Location}: must lie in a folder named after a scene of the storyboard."
                );
        }

        var counts = pictures.CountBy(x => x.SceneId ?? "").ToDictionary(StringComparer.Ordinal);
        return new PlayPlan(
            project,
            storyboard.Scenes,
            [
                .. storyboard
                    .Scenes.OrderBy(x => x.Index)
                    .Select(x => new ScenePlan(
                        x.Id,
                        x.Index,
                        counts.GetValueOrDefault(x.Id),
                        Math.Max(counts.GetValueOrDefault(x.Id), storyboard.ImagesPerScene ?? 0)
                    )),
            ],
            pictures
        );
    }
}

/// <summary>A scene of the plan.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Index">Its place.</param>
/// <param name="Pictures">Files that are handed in for it.</param>
/// <param name="Wanted">Pictures that it lacks nothing with: the storyboard may want more than there are files.</param>
internal sealed record ScenePlan(string Id, int Index, int Pictures, int Wanted);
