using Pipeline.Contracts.Generation;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>Generation on real processes: shared renderings, killed workers, a restarted fleet.</summary>
public sealed class GenerationTests(ITestOutputHelper output) : Stack
{
    private const string Model = "held";

    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ProviderStub _provider = null!;

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [.. _provider.SettingsOf(Model), ("Rendering__LeaseLength", "00:00:04")];

    public override async Task InitializeAsync()
    {
        _provider = await ProviderStub.StartAsync(
            async (_, _) =>
            {
                await _released.Task;
                return ProviderAnswer.Picture;
            }
        );
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _provider.DisposeAsync();
    }

    [Fact]
    public async Task Fifty_identical_requests_from_eight_publishers_are_one_call_and_fifty_pictures()
    {
        const int Requests = 50;
        HostWorker("worker-1");
        HostWorker("worker-2");
        var first = NewRequest();
        var requests = Enumerable
            .Range(0, Requests)
            .Select(x => first with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid(), Slot = x })
            .ToArray();

        await Task.WhenAll(requests.Chunk(7).Select(PublishAsync));
        await UntilAsync("the call", () => Task.FromResult(_provider.Calls == 1));
        _released.SetResult();
        await UntilEndedAsync(Requests);

        _provider.Calls.ShouldBe(1);
        (await ScalarAsync<long>("select count(*) from status.generations")).ShouldBe(1);
        // No scene was defined, so that every picture is kept, out of sight, for the scene to come.
        (await ScalarAsync<long>("select count(*) from status.images where waits_for = 'scene'")).ShouldBe(Requests);
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_storyboard_is_complete_though_the_whole_fleet_is_killed_twice()
    {
        const int Scenes = 20;
        const int Slots = 3;
        var projectId = Guid.NewGuid();
        var fleet = StartFleet();
        await using (var publisher = NewPublisher())
        {
            await publisher.PublishAsync(Commands.Storyboard(projectId, Scenes).ToWire(), CancellationToken.None);
            await UntilReceiptsAsync(1);
            var generate = new GenerateStoryboard(
                Guid.NewGuid(),
                projectId,
                SceneIds: null,
                Slots,
                "offline-painter",
                Width: 64,
                Height: 64,
                Options: null,
                Deadline: null,
                Force: false
            );
            await publisher.PublishAsync(
                WireMessage.Command(generate, generate.CommandId, projectId),
                CancellationToken.None
            );
        }

        for (var kill = 1; kill <= 2; kill++)
        {
            await UntilAsync("some are saved", async () => await EndedAsync() >= kill * 10);
            foreach (var worker in fleet)
                await worker.KillAsync();
            output.WriteLine($"fleet killed {kill} at {await EndedAsync()} pictures");
            fleet = StartFleet();
        }

        await UntilEndedAsync(Scenes * Slots);
        var perScene = await RowsAsync(
            "select count(*)::int from status.images where state = 'shown' group by scene_id, slot",
            x => x.GetInt32(0)
        );
        perScene.Count.ShouldBe(Scenes * Slots);
        perScene.ShouldAllBe(x => x == 1);
        await UntilAsync(
            "the storyboard's end",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.generation_storyboards where completed_at is not null and saved = 60"
                ) == 1
        );
        (await ScalarAsync<long>("select count(*) from status.generations where state <> 'Completed'")).ShouldBe(0);
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    private WorkerProcess[] StartFleet() => [StartWorker("worker-1"), StartWorker("worker-2")];

    private static GenerateImage NewRequest() => Commands.Generate(Model, "A red kite over a harbour");

    private async Task PublishAsync(GenerateImage[] requests)
    {
        await using var publisher = NewPublisher();
        await publisher.PublishAllAsync(requests.Select(Commands.ToWire), CancellationToken.None);
    }

    private Task<long> EndedAsync() =>
        ScalarAsync<long>(
            "select count(*) from status.receipts where command = 'generate-image' and outcome in ('applied', 'target-missing')"
        );

    private Task UntilEndedAsync(int count) =>
        UntilAsync($"{count} pictures", async () => await EndedAsync() == count, TimeSpan.FromMinutes(3));
}
