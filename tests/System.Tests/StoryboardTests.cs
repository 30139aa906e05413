using System.Text.Json;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>
/// The seed's own scenario: twenty scenes with three pictures each are saved in parallel. Its read-modify-write
/// consumer stands beside it, and the same check must catch it.
/// </summary>
[Trait(Speed.Name, Speed.Fast)]
public sealed class StoryboardTests(Stack stack, ITestOutputHelper output) : IClassFixture<Stack>
{
    private const int Scenes = 20;
    private const int Slots = 3;
    private const int Publishers = 16;
    private const int Repetitions = 20;

    // The scenes that the report names.
    private static readonly int[] NamedScenes = [1, 2, 3, 5, 8, 10, 15, 16, 18, 20];

    [Fact]
    public async Task Twenty_scenes_saved_in_parallel_have_their_three_urls_in_slot_order_every_time()
    {
        stack.HostWorker("worker-1");
        stack.HostWorker("worker-2");
        for (var repetition = 1; repetition <= Repetitions; repetition++)
        {
            var projectId = Guid.NewGuid();
            output.WriteLine($"repetition {repetition}: project {projectId}");
            var saves = NewSaves(projectId);
            await stack.PlantObjectsAsync([.. saves.Select(x => x.ObjectKey)]);
            await using (var first = stack.NewPublisher())
                await first.PublishAsync(Commands.Storyboard(projectId, Scenes).ToWire(), CancellationToken.None);

            await PublishFromManyAsync(saves.Select(x => x.ToWire()));
            await stack.UntilReceiptsAsync(repetition * (1 + (Scenes * Slots)));

            var expected = saves.ToDictionary(x => (x.SceneId!, x.Slot), x => $"/images/{x.ImageId}/1");
            var document = await DocumentAsync(projectId);
            LostUrls(document, expected).ShouldBeEmpty();
            foreach (var scene in NamedScenes.Union(Enumerable.Range(1, Scenes)))
            {
                Urls(document, $"scene-{scene}")
                    .ShouldBe(Enumerable.Range(0, Slots).Select(x => expected[($"scene-{scene}", x)]));
            }

            (await OutcomesAsync(projectId)).ShouldBe(["applied"]);
        }
    }

    [Fact]
    public async Task The_same_check_catches_the_read_modify_write_consumer_of_the_report()
    {
        var seed = await ReadModifyWritePipeline.StartAsync(stack, Scenes);
        var saves = NewSaves(seed.ProjectId);
        await using (seed)
        {
            await PublishFromManyAsync(
                saves.Select(x => x.ToWire() with { Exchange = ReadModifyWritePipeline.Exchange })
            );
            await stack.UntilAsync("all saves logged as saved", () => Task.FromResult(seed.Saved == saves.Length));
        }

        var expected = saves.ToDictionary(x => (x.SceneId!, x.Slot), x => $"/images/{x.ImageId}/1");
        var lost = LostUrls(await seed.DocumentAsync(), expected);
        output.WriteLine($"'saved' {seed.Saved} times, {lost.Count} URLs lost");
        lost.ShouldNotBeEmpty();
    }

    private static Pipeline.Contracts.Saving.SaveImage[] NewSaves(Guid projectId)
    {
        var saves =
            from scene in Enumerable.Range(1, Scenes)
            from slot in Enumerable.Range(0, Slots)
            select Commands.Save(projectId, scene, slot);
        var shuffled = saves.ToArray();
        Random.Shared.Shuffle(shuffled);
        return shuffled;
    }

    private async Task PublishFromManyAsync(IEnumerable<WireMessage> messages)
    {
        var shares = messages.Select((message, i) => (message, i)).GroupBy(x => x.i % Publishers, x => x.message);
        await Task.WhenAll(
            shares.Select(async share =>
            {
                await using var publisher = stack.NewPublisher();
                foreach (var message in share)
                    await publisher.PublishAsync(message, CancellationToken.None);
            })
        );
    }

    /// <summary>The detector of both tests: scene and slot of each URL that its scene lacks.</summary>
    private static List<string> LostUrls(JsonElement document, Dictionary<(string Scene, int Slot), string> expected) =>
        [
            .. expected
                .GroupBy(x => x.Key.Scene, StringComparer.Ordinal)
                .SelectMany(scene =>
                {
                    var urls = Urls(document, scene.Key);
                    return scene
                        .Where(x => !urls.Contains(x.Value, StringComparer.Ordinal))
                        .Select(x => $"{x.Key.Scene}/{x.Key.Slot}");
                }),
        ];

    private static string[] Urls(JsonElement document, string sceneId) =>
        [
            .. document
                .GetProperty("scenes")
                .EnumerateArray()
                .Single(x => x.GetProperty("id").GetString() == sceneId)
                .GetProperty("imageUrls")
                .EnumerateArray()
                .Select(x => x.GetString()!),
        ];

    private async Task<JsonElement> DocumentAsync(Guid projectId) =>
        JsonElement.Parse(
            await stack.ScalarAsync<string>(
                "select document::text from status.project_documents where project_id = $1",
                projectId
            )
        );

    private Task<List<string>> OutcomesAsync(Guid projectId) =>
        stack.RowsAsync(
            "select distinct outcome from status.receipts where project_id = $1",
            x => x.GetString(0),
            projectId
        );
}
