using Pipeline.Bench;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Fire;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>
/// How a lane leaves its queue, as the network sees it. A single active consumer that cancels, or gives messages back
/// one by one, lets its successor overtake it; one that closes its channel does not.
/// </summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class LaneFrameTests(ITestOutputHelper output) : ProxiedStack
{
    private const int CommandCount = 6000;

    // When a lane's holder gave its lease back; it does so after it has seen the close.
    private const string KeepReleasesSql = """
        create table public.releases (lane integer, worker_id uuid, at timestamptz);
        create function public.keep_release() returns trigger language plpgsql as $$
        begin
            insert into public.releases (lane, worker_id, at) values (new.lane, old.worker_id, clock_timestamp());
            return null;
        end $$;
        create trigger keep_release after update on pipeline.lanes for each row
            when (old.worker_id is not null and new.worker_id is null) execute function public.keep_release();
        """;

    // A database that needs half a second for each transaction of a lane, until the test says otherwise.
    private const string SlowDownSql = """
        create table public.slowness (seconds double precision);
        insert into public.slowness values (0.5);
        create function public.slow_down() returns trigger language plpgsql as $$
        begin
            perform pg_sleep(seconds) from public.slowness;
            return null;
        end $$;
        create trigger slow_down after insert on pipeline.receipts for each statement
            execute function public.slow_down();
        """;

    // A lane that does not finish in time is not released but runs out, which says nothing of the order.
    private static readonly (string Name, string Value)[] Unhurried =
    [
        ("Lanes__DrainLimit", "00:00:50"),
        ("Lanes__CloseLimit", "00:00:30"),
        ("Lanes__OpenLimit", "00:00:30"),
        ("Lanes__LeaseLength", "00:00:30"),
    ];

    private readonly FireScript _script = new FirePlan(Random.Shared.Next(1_000_000), CommandCount, 0).Write();

    /// <summary>Small batches, so that those in work are a small part of what waits.</summary>
    protected override IEnumerable<(string Name, string Value)> WorkerSettings => [("Lanes__BatchLimit", "16")];

    [Fact]
    public async Task A_lane_is_released_only_after_its_connection_is_closed()
    {
        await using var publisher = await PrepareAsync();
        await this.ExecuteAsync(KeepReleasesSql);
        await this.ExecuteAsync(SlowDownSql);
        StartWorker("first", Unhurried);
        await UntilHeldAsync("first", LaneMap.Lanes);
        await UntilConsumingAsync(connections: LaneMap.Lanes);

        // Lanes are handed over with full queues: to a worker that joins, and by one that leaves.
        await publisher.PublishAsync(_script.Commands);
        var second = StartWorker("second", Unhurried);
        await UntilHeldAsync("second", LaneMap.Lanes / 2);
        await UntilConsumingAsync(connections: LaneMap.Lanes * 3 / 2);
        await second.StopAsync();
        second.ExitCode.ShouldBe(0);
        await UntilHeldAsync("first", LaneMap.Lanes);
        var applied = await ScalarAsync<long>("select count(*) from pipeline.receipts");
        applied.ShouldBeLessThan(CommandCount, "the queues were empty before the end of the hand-overs");
        await this.ExecuteAsync("update public.slowness set seconds = 0");
        await UntilAppliedAsync(CommandCount);

        await ShouldBeInOrderAsync(publisher);
        Proxy.ShouldBeSoundFor(LaneMap.Lanes);
        var releases = await RowsAsync(
            "select lane, worker_id, at from public.releases order by at",
            x => (Lane: x.GetInt32(0), Worker: x.GetGuid(1), At: x.GetDateTime(2))
        );
        // A worker leaves a lease to run out where the broker did not confirm the close in time.
        output.WriteLine($"{releases.Count} of {LaneMap.Lanes} leases were given back");
        releases.DistinctBy(x => x.Worker).Count().ShouldBe(2, "each worker has handed lanes over");
        foreach (var (lane, _, at) in releases)
        {
            var earlier = Proxy.OfLane(lane).Where(x => x.ConsumesSince() < at).ToArray();
            earlier.ShouldNotBeEmpty();
            earlier.ShouldAllBe(x => x.IsClosedBy(at), $"lane {lane} was released at {at:O}");
        }
    }

    [Fact]
    public async Task A_lane_whose_connection_is_open_but_dead_is_taken_over_in_order()
    {
        await using var publisher = await PrepareAsync();
        StartWorker("first");
        StartWorker("second");
        await UntilHeldAsync("second", LaneMap.Lanes / 2);
        await UntilHeldAsync("first", LaneMap.Lanes / 2);

        var publishing = publisher.PublishAsync(Part(0, 2));
        await UntilAppliedAsync(CommandCount / 8);
        var dead = Proxy.OfLane(3).Last(x => x.EndedAt is null);
        dead.Hold();
        output.WriteLine($"held {dead.Counts()}");
        await publishing;
        await publisher.PublishAsync(Part(1, 2));
        await UntilAppliedAsync(CommandCount);

        await ShouldBeInOrderAsync(publisher);
        Proxy.ShouldBeSoundFor(LaneMap.Lanes);
        Proxy.OfLane(3).ShouldContain(x => x.ConsumesSince() > dead.ConsumesSince());
    }

    [Theory]
    [InlineData("pipeline-workers announcements", "committed, and not published")]
    [InlineData("pipeline-workers lane", "published, and not acknowledged")]
    public async Task A_worker_paused_between_commit_and_acknowledgement_loses_and_doubles_nothing(
        string connection,
        string what
    )
    {
        output.WriteLine(what);
        await using var publisher = await PrepareAsync();
        var paused = StartWorker("paused");
        await UntilHeldAsync("paused", LaneMap.Lanes);
        var publishing = publisher.PublishAsync(Part(0, 2));
        await UntilAppliedAsync(CommandCount / 8);

        // What the worker says from now on does not reach the broker, and then it says no more.
        var held = Proxy
            .Connections.Where(x =>
                x.EndedAt is null && x.Name?.StartsWith(connection, StringComparison.Ordinal) == true
            )
            .ToArray();
        held.ShouldNotBeEmpty();
        Array.ForEach(held, x => x.Hold());
        paused.Pause();
        StartWorker("heir");
        await publishing;
        await UntilHeldAsync("heir", LaneMap.Lanes);
        await UntilAppliedAsync(CommandCount / 2);

        Array.ForEach(held, x => x.Release());
        paused.Resume();
        await publisher.PublishAsync(Part(1, 2));
        await UntilAppliedAsync(CommandCount);

        await ShouldBeInOrderAsync(publisher);
        paused.HasExited.ShouldBeFalse();
    }

    private async Task<FirePublisher> PrepareAsync()
    {
        var publisher = NewPublisher();
        await publisher.PublishAllAsync(_script.Projects.Select(FirePlan.Definition), CancellationToken.None);
        await PlantObjectsAsync([.. _script.Commands.Select(x => x.ObjectKey)]);
        return new FirePublisher(publisher, output.WriteLine);
    }

    private ArraySegment<SaveImage> Part(int number, int count) =>
        new(_script.Commands, CommandCount / count * number, CommandCount / count);

    private async Task ShouldBeInOrderAsync(FirePublisher publisher)
    {
        var checks = await Checks.OfAsync(Database, _script.Projects, publisher.Sent, CancellationToken.None);
        checks.ShouldBe(new Checks(CommandCount, Lost: 0, Duplicates: 0, Inversions: 0));
    }

    private Task UntilAppliedAsync(int commands) => UntilReceiptsAsync(_script.Projects.Length + commands);
}
