using Npgsql;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Tests.Persistence;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>Who holds which lane, as the database says, and what becomes of one who no longer renews.</summary>
public sealed class LaneLeasesTests : IAsyncLifetime
{
    private readonly ScratchDatabase _database = new();
    private readonly LaneOptions _options = new() { Count = 8 };

    public async Task InitializeAsync()
    {
        await _database.InitializeAsync();
        await NewWorker().Leases.PrepareAsync(default);
    }

    public Task DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task A_lane_changes_hands_only_when_it_is_released()
    {
        var first = NewWorker();
        var second = NewWorker();
        (await first.BalanceAsync()).Held.Count.ShouldBe(8);

        (await second.BalanceAsync()).Held.ShouldBeEmpty();
        (await first.BalanceAsync()).HandOver.ShouldBe(4);
        await first.Leases.ReleaseAsync(5, epoch: 1, default);
        var held = (await second.BalanceAsync()).Held;

        held.ShouldHaveSingleItem().ShouldBe(KeyValuePair.Create(5, 2L)); // The second epoch: a second holder.
    }

    [Fact]
    public async Task The_lanes_of_a_worker_that_does_not_renew_are_taken_over()
    {
        var dead = NewWorker();
        var heir = NewWorker();
        await dead.BalanceAsync();

        await EndLeasesAsync(dead.Identity);
        var held = (await heir.BalanceAsync()).Held;

        held.Count.ShouldBe(8);
        held.Values.ShouldAllBe(epoch => epoch == 2);
        (await dead.BalanceAsync()).Held.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_lane_that_makes_no_progress_is_not_renewed()
    {
        var worker = NewWorker();
        await worker.BalanceAsync();
        await _database.ExecuteAsync("update pipeline.lanes set lease_until = now() - interval '1 ms'");

        var held = (await worker.BalanceAsync(alive: [0, 1, 2, 4, 5, 6, 7])).Held;

        // It ran out, and was free to be taken: a new tenure, for which the old one is stopped.
        held.Where(x => x.Value > 1).ShouldBe([KeyValuePair.Create(3, 2L)]);
    }

    [Fact]
    public async Task The_lanes_of_a_worker_without_the_broker_are_shared_by_the_others()
    {
        var cut = NewWorker();
        await cut.BalanceAsync();
        await EndLeasesAsync(cut.Identity);

        (await cut.BalanceAsync(alive: [], takesLanes: false)).Held.ShouldBeEmpty();
        (await NewWorker().BalanceAsync()).Held.Count.ShouldBe(8); // As if the other one were not there.
        (await cut.BalanceAsync(alive: [], takesLanes: true)).Held.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_worker_is_told_when_the_next_lease_of_another_one_ends()
    {
        var (first, second) = (NewWorker(), NewWorker());
        (await first.BalanceAsync()).NextEnd.ShouldBeNull(); // Its own leases do not count.
        await _database.ExecuteAsync(
            "update pipeline.lanes set lease_until = now() + interval '1 hour' where lane = 3"
        );

        (await second.BalanceAsync()).NextEnd.ShouldNotBeNull().ShouldBeLessThanOrEqualTo(_options.LeaseLength);
    }

    [Theory]
    [InlineData(null, 1000)]
    [InlineData(4000, 1000)]
    [InlineData(300, 310)]
    public void The_next_turn_comes_when_a_lease_ends_if_that_is_sooner(int? endMilliseconds, int turnMilliseconds)
    {
        TimeSpan? end = endMilliseconds is { } x ? TimeSpan.FromMilliseconds(x) : null;

        new LaneBalance(new Dictionary<int, long>(), 0, end)
            .NextTurn(TimeSpan.FromSeconds(1))
            .ShouldBe(TimeSpan.FromMilliseconds(turnMilliseconds));
    }

    [Fact]
    public async Task A_worker_that_leaves_counts_no_more()
    {
        var leaver = NewWorker();
        var other = NewWorker();
        await other.BalanceAsync();
        await leaver.BalanceAsync();

        await leaver.Leases.LeaveAsync(default);

        (await other.BalanceAsync()).HandOver.ShouldBe(0);
    }

    [Fact]
    public async Task A_worker_with_another_lane_count_does_not_start()
    {
        var options = new LaneOptions { Count = 9 };
        var worker = new LaneLeases(_database.Source, options, new WorkerIdentity(Guid.NewGuid(), "nine"));

        var error = await Should.ThrowAsync<InvalidOperationException>(() => worker.PrepareAsync(default));

        error.Message.ShouldContain("8 lanes");
    }

    [Theory]
    [InlineData("begin; select 1 from pipeline.projects", true)]
    [InlineData("select pg_advisory_lock(77)", true)] // As the outbox's leader does.
    [InlineData("select 1", false)]
    public async Task Sessions_of_a_quiet_worker_that_hold_something_are_ended(string sql, bool isEnded)
    {
        var quiet = NewWorker();
        await quiet.BalanceAsync();
        await using var session = await SessionAsync(quiet.Identity, sql);
        await EndLeasesAsync(quiet.Identity);

        await NewWorker().BalanceAsync();

        (await IsAliveAsync(session)).ShouldBe(!isEnded);
    }

    [Fact]
    public async Task Sessions_of_a_living_worker_are_left_alone()
    {
        var alive = NewWorker();
        await alive.BalanceAsync();
        await using var session = await SessionAsync(alive.Identity, "select pg_advisory_lock(78)");

        await NewWorker().BalanceAsync();

        (await IsAliveAsync(session)).ShouldBeTrue();
    }

    private LeasingWorker NewWorker()
    {
        var identity = new WorkerIdentity(Guid.NewGuid(), "test");
        return new LeasingWorker(new LaneLeases(_database.Source, _options, identity), identity);
    }

    private sealed record LeasingWorker(LaneLeases Leases, WorkerIdentity Identity)
    {
        /// <summary>One turn of a worker whose lanes all live, unless a test says otherwise.</summary>
        public Task<LaneBalance> BalanceAsync(int[]? alive = null, bool takesLanes = true) =>
            Leases.BalanceAsync(alive ?? [.. Enumerable.Range(0, 8)], takesLanes, default);
    }

    private async Task<NpgsqlConnection> SessionAsync(WorkerIdentity worker, string sql)
    {
        var settings = new NpgsqlConnectionStringBuilder(_database.ConnectionString("ConnectionStrings__Postgres"))
        {
            ApplicationName = worker.SessionName,
            Pooling = false,
        };
        var session = new NpgsqlConnection(settings.ConnectionString);
        await session.OpenAsync();
        await using var command = new NpgsqlCommand(sql, session);
        await command.ExecuteNonQueryAsync();
        return session;
    }

    private static async Task<bool> IsAliveAsync(NpgsqlConnection session)
    {
        try
        {
            await using var command = new NpgsqlCommand("select 1", session);
            await command.ExecuteScalarAsync();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    /// <summary>As time does to a worker that is paused.</summary>
    private async Task EndLeasesAsync(WorkerIdentity worker)
    {
        await _database.ExecuteAsync(
            "update pipeline.workers set lease_until = now() - interval '1 ms' where id = $1",
            worker.Id
        );
        await _database.ExecuteAsync(
            "update pipeline.lanes set lease_until = now() - interval '1 ms' where worker_id = $1",
            worker.Id
        );
    }
}
