using Pipeline.Contracts;
using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Generating;

/// <summary>A picture that a storyboard's generation was to bring and that is not shown.</summary>
/// <param name="SceneId">Its scene.</param>
/// <param name="Slot">Its place within the scene.</param>
/// <param name="ImageId">The picture's id, the same in every request for it, so that it cannot be there twice.</param>
/// <param name="IsOpen">A request for it is still being worked on.</param>
/// <param name="Last">The generation of the newest request; null where the workers took none.</param>
internal sealed record MissingPicture(string SceneId, int Slot, Guid ImageId, bool IsOpen, GenerationRow? Last);

/// <summary>
/// Finds out which pictures of a storyboard's generation are missing: slots that show no picture, of the scenes that
/// <c>status.generation_storyboards</c> calls missing.
/// </summary>
/// <remarks>
/// A second <c>generate-storyboard</c> for those scenes would not do: it has new picture ids, so the slots that are
/// there already would get a second picture.
/// </remarks>
internal sealed class MissingPictures(StatusDatabase database)
{
    private readonly GenerationReads _reads = new(database);

    /// <summary>The storyboard with its numbers as they are now, whatever request brought a picture.</summary>
    public async Task<StoryboardRow> RefreshAsync(StoryboardRow storyboard, CancellationToken cancellation)
    {
        if (storyboard.MissingScenes.Count == 0)
            return storyboard;
        var missing = await OfAsync(storyboard, cancellation);
        return storyboard with
        {
            Saved = storyboard.Requested - missing.Count,
            MissingScenes = [.. missing.Select(x => x.SceneId).Distinct(StringComparer.Ordinal)],
        };
    }

    /// <returns>In the order of the scenes' names and of the slots.</returns>
    public async Task<List<MissingPicture>> OfAsync(StoryboardRow storyboard, CancellationToken cancellation)
    {
        var project = storyboard.ProjectId;
        var scenes = storyboard.MissingScenes.Order(StringComparer.Ordinal).ToArray();
        Guid ImageOf(string scene, int slot) => GenerationMessages.ImageOf(project, storyboard.CommandId, scene, slot);
        var places = scenes.SelectMany(x => Enumerable.Range(0, Limits.ImagesPerScene).Select(y => (x, y)));
        var requests = await _reads.OfImagesAsync(project, [.. places.Select(x => ImageOf(x.x, x.y))], cancellation);
        var byImage = requests.ToLookup(x => x.ImageId);
        var generations = (
            await _reads.OfIdsAsync([.. requests.Select(x => x.GenerationId).Distinct()], cancellation)
        ).ToDictionary(x => x.Id);
        var shown = await _reads.ShownSlotsAsync(project, scenes, cancellation);
        var images = ImagesPerScene(storyboard, requests);
        return
        [
            .. from scene in scenes
            from slot in Enumerable.Range(0, images)
            where !shown.Contains((scene, slot))
            let image = ImageOf(scene, slot)
            let newest = byImage[image].FirstOrDefault()
            select new MissingPicture(
                scene,
                slot,
                image,
                byImage[image].Any(x => x.IsOpen),
                newest is null ? null : generations.GetValueOrDefault(newest.GenerationId)
            ),
        ];
    }

    // The views do not say it. Slots are taken from 0; where the workers took no request, every scene is missing.
    private static int ImagesPerScene(StoryboardRow storyboard, List<TargetRow> requests) =>
        requests.Count > 0
            ? requests.Max(x => x.Slot) + 1
            : Math.Clamp(storyboard.Requested / storyboard.MissingScenes.Count, 1, Limits.ImagesPerScene);
}

/// <summary>New requests for what is missing, and why there is none for the rest.</summary>
internal sealed record MissingRequests(IReadOnlyList<GenerateImage> Commands, IReadOnlyList<string> Notes)
{
    /// <param name="project">The project.</param>
    /// <param name="only">Only these scenes; null for all.</param>
    /// <param name="wish">How to render, from what is known of the last request.</param>
    /// <param name="database">The views.</param>
    /// <param name="cancellation">Ends the queries.</param>
    /// <returns>Null where the project has no storyboard's generation.</returns>
    public static async Task<MissingRequests?> OfAsync(
        Guid project,
        IReadOnlyList<string>? only,
        Func<RenderWish?, RenderWish> wish,
        StatusDatabase database,
        CancellationToken cancellation
    )
    {
        var newest = await new GenerationReads(database).StoryboardsAsync(project, new Page(1), cancellation);
        if (newest is not [var storyboard])
            return null;
        var missing =
            storyboard.MissingScenes.Count == 0
                ? []
                : await new MissingPictures(database).OfAsync(storyboard, cancellation);
        var document = await new ProjectReads(database).DocumentAsync(project, cancellation);
        var prompts = document?.Read().Scenes.ToDictionary(x => x.Id, x => x.Prompt ?? "", StringComparer.Ordinal);

        var commands = new List<GenerateImage>();
        var notes = new List<string>();
        var sample = missing.Select(x => x.Last).FirstOrDefault(x => x is not null);
        foreach (var picture in missing.Where(x => only?.Contains(x.SceneId, StringComparer.Ordinal) != false))
        {
            // The scene's prompt of today: who has just mended it wants the mended one.
            var prompt = prompts?.GetValueOrDefault(picture.SceneId);
            var why =
                picture.IsOpen ? "is still being worked on"
                : prompt is null ? "has no scene any more"
                : prompt.Length == 0 ? "has a scene without a prompt"
                : null;
            if (why is not null || prompt is null)
                notes.Add($"scene {picture.SceneId} slot {picture.Slot} {why}");
            else
                commands.Add(Request(project, picture, prompt, wish(Known(picture.Last ?? sample))));
        }

        return new MissingRequests(commands, notes);
    }

    private static GenerateImage Request(Guid project, MissingPicture picture, string prompt, RenderWish wish) =>
        new(
            Guid.NewGuid(),
            project,
            picture.ImageId,
            picture.SceneId,
            SceneIndex: null,
            picture.Slot,
            prompt,
            wish.Model,
            wish.Width,
            wish.Height,
            // Without an earlier request the slot: pictures of one scene must differ by something.
            picture.Last?.Seed
                ?? picture.Slot,
            wish.Options,
            wish.Deadline,
            wish.Force
        );

    private static RenderWish? Known(GenerationRow? last) =>
        last is null
            ? null
            : new RenderWish(last.Model, last.Width, last.Height, last.Options, Deadline: null, Force: false);
}
