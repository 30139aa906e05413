using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Fire;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>Order and exactly-once effect while workers die, pause, and lose their connections. The database is the judge.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class OrderUnderFireTests(ITestOutputHelper output) : ProxiedStack
{
    private const int Projects = 100;
    private const int CommandCount = 20_000;

    /// <summary>What <c>eng/fire</c> does many times; here the network is looked at, too.</summary>
    [Fact]
    public async Task Twenty_thousand_commands_survive_kills_pauses_and_lost_connections()
    {
        var plan = new FirePlan(Random.Shared.Next(1_000_000), CommandCount, BusyPerCore: 0);
        var result = await new FireRun(this, plan, output.WriteLine).RunAsync();
        result.IsClean.ShouldBeTrue(result.ToString());
        Proxy.ShouldBeSoundFor(LaneMap.Lanes);
    }

    [Fact]
    public async Task A_paused_worker_that_wakes_up_applies_nothing_stale()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var commands = await PrepareAsync(new Random(seed), CommandCount / 4);
        var paused = StartWorker("paused");
        await UntilAsync("all lanes held", async () => await HeldByAsync("paused") == 8);
        var publishing = PublishAsync(commands);
        await UntilReceiptsAsync(CommandCount / 16);

        var watch = System.Diagnostics.Stopwatch.StartNew();
        paused.Pause();
        StartWorker("successor");
        await publishing;
        // The successor takes the leases at once; the queues only when the broker misses the paused one's heartbeat.
        await UntilAsync("lanes taken over", async () => await HeldByAsync("successor") == 8);
        output.WriteLine($"lanes taken over {watch.Elapsed} after the pause");
        await UntilReceiptsAsync(commands.Length + Projects, TimeSpan.FromMinutes(3));
        output.WriteLine($"all applied by the successor {watch.Elapsed} after the pause");
        var before = await StateAsync();

        paused.Resume();
        await UntilAsync("the paused worker is back among the living", async () => await HeldByAsync("paused") >= 4);
        output.WriteLine($"back {watch.Elapsed} after the pause");
        (await StateAsync()).ShouldBe(before);
        await AssertExactAsync(commands);
    }

    [Fact]
    public async Task Commands_sent_twice_and_redelivered_take_effect_once_and_answer_the_same()
    {
        var commands = await PrepareAsync(new Random(1), 500);
        StartWorker("worker");
        await PublishAsync(commands);
        await UntilReceiptsAsync(commands.Length + Projects);
        var before = await StateAsync();

        await PublishAsync(commands);
        await UntilAsync("all lanes empty", async () => await WaitingAsync() == 0);
        (await StateAsync()).ShouldBe(before);
        await AssertExactAsync(commands);
    }

    private async Task<SaveImage[]> PrepareAsync(Random random, int count)
    {
        var projects = Enumerable.Range(0, Projects).Select(_ => Guid.NewGuid()).ToArray();
        await using var publisher = NewPublisher();
        await publisher.PublishAllAsync(
            projects.Select(x => Commands.Storyboard(x, 20).ToWire()),
            CancellationToken.None
        );

        var commands = Enumerable
            .Range(0, count)
            .Select(_ => Commands.Save(projects[random.Next(Projects)], random.Next(1, 21), random.Next(3)))
            .ToArray();
        await PlantObjectsAsync([.. commands.Select(x => x.ObjectKey)]);
        return commands;
    }

    /// <summary>One publisher, so that the order of sending is known; a lost connection is met by sending again.</summary>
    private async Task PublishAsync(SaveImage[] commands)
    {
        const int Chunk = 200;
        await using var publisher = NewPublisher();
        foreach (var chunk in commands.Chunk(Chunk))
        {
            for (var isConfirmed = false; !isConfirmed; )
            {
                try
                {
                    await publisher.PublishAllAsync(chunk.Select(x => x.ToWire()), CancellationToken.None);
                    isConfirmed = true;
                }
                catch (PublishFailedException e)
                {
                    output.WriteLine($"publishing again: {e.Message}");
                }
            }
        }
    }

    /// <summary>Nothing lost, nothing twice, one receipt each, and in each project the order of sending.</summary>
    private async Task AssertExactAsync(SaveImage[] commands)
    {
        var versions = await RowsAsync(
            "select id, project_id, project_version from pipeline.images",
            x => (Id: x.GetGuid(0), Project: x.GetGuid(1), Version: x.GetInt64(2))
        );
        versions.Count.ShouldBe(commands.Length);
        var byImage = versions.ToDictionary(x => x.Id);

        foreach (var project in commands.GroupBy(x => x.ProjectId))
        {
            var applied = project.Select(x => byImage[x.ImageId].Version).ToArray();
            // The storyboard made version 1; each save the next one, without a gap and in the order of sending.
            applied.ShouldBe(Enumerable.Range(2, applied.Length).Select(x => (long)x));
        }

        (await CountAsync("receipts")).ShouldBe(commands.Length + Projects);
        (await ScalarAsync<long>("select count(*) from pipeline.receipts where outcome <> 'applied'")).ShouldBe(0);
        (await ScalarAsync<long>("select sum(version)::bigint from pipeline.projects")).ShouldBe(
            commands.Length + Projects
        );
        for (var lane = 0; lane < 8; lane++)
            (await MessagesAsync(WireNames.ErrorQueue(WireNames.LaneQueue(lane)))).ShouldBe(0u);
    }

    /// <summary>A fingerprint of all that a stale write could change.</summary>
    private Task<string> StateAsync() =>
        ScalarAsync<string>(
            """
            select (select md5(string_agg(p::text, '|' order by id)) from pipeline.projects p)
                || (select md5(string_agg(i::text, '|' order by id)) from pipeline.images i)
                || (select md5(string_agg(r::text, '|' order by command_id)) from pipeline.receipts r)
            """
        );

    private async Task<long> WaitingAsync()
    {
        long waiting = 0;
        for (var lane = 0; lane < 8; lane++)
            waiting += await MessagesAsync(WireNames.LaneQueue(lane));
        return waiting;
    }

    private Task<long> CountAsync(string table) => ScalarAsync<long>($"select count(*) from pipeline.{table}");

    private Task<long> HeldByAsync(string worker) =>
        ScalarAsync<long>("select count(*) from status.lanes where held and worker = $1", worker);
}
