using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Tests.Harness;

namespace Pipeline.Publisher.Tests.Generating;

/// <summary>
/// A storyboard of three scenes with two pictures each, as the workers leave it: the first is whole, the second lacks
/// slot 1 whose request failed, the third was never taken up except slot 0, which is still open.
/// </summary>
internal static class AskedStoryboard
{
    public static async Task<Guid> WriteAsync(ScratchServers servers, Guid project)
    {
        var storyboard = Guid.NewGuid();
        await servers.ProjectAsync(project, version: 4);
        await servers.StoryboardAsync(storyboard, project, requested: 6);
        for (var scene = 1; scene <= 3; scene++)
        {
            await servers.SceneAsync(project, $"s{scene}", scene);
            for (var slot = 0; slot < 2; slot++)
                await PlaceAsync(servers, project, storyboard, $"s{scene}", slot);
        }

        return storyboard;
    }

    private static async Task PlaceAsync(ScratchServers servers, Guid project, Guid storyboard, string scene, int slot)
    {
        var command = GenerationMessages.RequestOf(storyboard, scene, slot);
        var image = GenerationMessages.ImageOf(project, storyboard, scene, slot);
        await servers.ItemAsync(storyboard, command, scene, slot);
        var (state, outcome, failure) = (scene, slot) switch
        {
            ("s1", _) or ("s2", 0) => ("Completed", "applied", null),
            ("s2", _) => ("Abandoned", "failed", "the provider was away"),
            ("s3", 0) => ("Rendering", null, null),
            _ => ("", (string?)null, (string?)null),
        };
        if (state.Length == 0)
            return;
        const string Options = """{"quality":"high"}""";
        var generation = await servers.GenerationAsync(state, attempt: 3, seed: 100 + slot, failure, Options);
        await servers.TargetAsync(project, generation, command, image, (scene, slot), outcome);
        if (outcome == "applied")
            await servers.ImageAsync(project, scene, slot);
    }
}
