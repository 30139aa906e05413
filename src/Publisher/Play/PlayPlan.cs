using Pipeline.Contracts;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Play;

/// <summary>What is going to be sent, and what is to come of it.</summary>
/// <param name="Project">The project.</param>
/// <param name="Definition">The storyboard's scenes, as the file has them.</param>
/// <param name="Scenes">In the order of their index.</param>
/// <param name="Pictures">Files to hand in, scene by scene; empty where the pictures are generated.</param>
/// <param name="ImagesPerScene">Pictures to generate for each scene; 0 where they are handed in.</param>
internal sealed record PlayPlan(
    Guid Project,
    IReadOnlyList<SceneDefinition> Definition,
    IReadOnlyList<ScenePlan> Scenes,
    IReadOnlyList<Picture> Pictures,
    int ImagesPerScene
)
{
    /// <summary>Pictures that are to come.</summary>
    public int Total => Scenes.Sum(x => x.Pictures);

    /// <summary>A plan whose pictures are generated.</summary>
    /// <exception cref="UsageException">The storyboard wants no pictures, too many, or has a scene without a prompt.</exception>
    public static PlayPlan Generated(Guid project, SceneFile storyboard)
    {
        var images = storyboard.ImagesPerScene ?? 1;
        if (images is < 1 or > Limits.ImagesPerScene)
            throw new UsageException($"imagesPerScene: must be 1 to {Limits.ImagesPerScene} to generate pictures.");
        if (storyboard.Scenes.FirstOrDefault(x => string.IsNullOrWhiteSpace(x.Prompt)) is { } mute)
            throw new UsageException($"Scene {mute.Id} has no prompt to generate a picture from: see --pictures.");
        return new PlayPlan(
            project,
            storyboard.Scenes,
            [.. storyboard.Scenes.OrderBy(x => x.Index).Select(x => new ScenePlan(x.Id, x.Index, images, images))],
            Pictures: [],
            images
        );
    }

    /// <summary>A plan whose pictures are files.</summary>
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
            pictures,
            ImagesPerScene: 0
        );
    }
}

/// <summary>A scene of the plan.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Index">Its place.</param>
/// <param name="Pictures">Pictures that are handed in or generated for it.</param>
/// <param name="Wanted">Pictures that it lacks nothing with: the storyboard may want more than there are files.</param>
internal sealed record ScenePlan(string Id, int Index, int Pictures, int Wanted);
