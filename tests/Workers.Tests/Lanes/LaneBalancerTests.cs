using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>When a lease is renewed, released and left to run out, on a clock that the test moves.</summary>
public sealed class LaneBalancerTests : IDisposable
{
    private readonly ServiceProvider _meters = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly ManualClock _clock = new();
    private readonly LaneOptions _options = new();
    private readonly ScriptedLeases _leases = new();
    private readonly ScriptedProbe _links = new();
    private readonly Dictionary<int, ScriptedLane> _lanes = [];
    private readonly LaneBalancer _balancer;

    public LaneBalancerTests() =>
        _balancer = new LaneBalancer(
            _leases,
            _options,
            number => _lanes[number] = new ScriptedLane(number),
            _links,
            new LaneMetrics(_meters.GetRequiredService<IMeterFactory>()),
            _clock,
            NullLogger<LaneBalancer>.Instance
        );

    [Fact]
    public async Task A_lease_is_released_after_the_close_was_confirmed_and_not_before()
    {
        await HoldAsync(1, 2);
        _leases.HandOver = 1;
        await TickAsync();
        _lanes[1].IsLeaving.ShouldBeTrue();
        _leases.Released.ShouldBeEmpty();

        _lanes[1].Left.SetResult(true);
        await TickAsync();

        _leases.Released.ShouldBe([1]);
    }

    [Fact]
    public async Task A_lease_whose_close_was_not_confirmed_runs_out()
    {
        await HoldAsync(1, 2);
        _leases.HandOver = 1;
        await TickAsync();

        _lanes[1].Left.SetResult(false);
        await TickAsync();
        await TickAsync();

        _leases.Released.ShouldBeEmpty();
        _leases.Renewed.ShouldBe([2]);
    }

    [Fact]
    public async Task A_lane_without_progress_is_not_renewed_and_is_stopped()
    {
        await HoldAsync(1, 2);
        _lanes[1].IsAlive = false;

        await TickAsync();

        _leases.Renewed.ShouldBe([2]);
        _lanes[1].IsAbandoned.ShouldBeTrue();
        _lanes[2].IsAbandoned.ShouldBeFalse();
        _leases.Released.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_leaving_lane_that_never_ends_is_not_renewed_once_it_makes_no_progress()
    {
        await HoldAsync(1, 2);
        _leases.HandOver = 1;
        await TickAsync();
        await TickAsync();
        _leases.Renewed.ShouldBe([1, 2], ignoreOrder: true); // It still finishes its batch.

        _lanes[1].IsAlive = false;
        await TickAsync();

        _leases.Renewed.ShouldBe([2]);
    }

    [Fact]
    public async Task A_leaving_lane_whose_lease_is_lost_is_stopped()
    {
        await HoldAsync(1, 2);
        _leases.HandOver = 1;
        await TickAsync();

        _leases.Lost.Add(1);
        await TickAsync();

        _lanes[1].IsAbandoned.ShouldBeTrue();
        _lanes[1].Left.SetResult(true);
        await TickAsync();
        _leases.Released.ShouldBeEmpty(); // It is no longer this worker's to release.
    }

    [Fact]
    public async Task A_lane_that_was_lost_and_taken_again_is_stopped_first()
    {
        await HoldAsync(1);
        var first = _lanes[1];
        _leases.Epoch++;

        await TickAsync();

        first.IsAbandoned.ShouldBeTrue();
        first.Left.SetResult(false);
        await TickAsync();
        _lanes[1].ShouldNotBe(first);
    }

    [Fact]
    public async Task Lanes_stop_when_their_lease_ends_though_the_database_does_not_answer()
    {
        await HoldAsync(1);
        _leases.Hangs = true;
        var turn = _balancer.TickAsync(default);

        // The lease was renewed one turn ago.
        _clock.Advance((_options.LeaseLength * 0.89) - _options.RenewEvery);
        _lanes[1].IsAbandoned.ShouldBeFalse();
        _clock.Advance(_options.LeaseLength * 0.02);

        _lanes[1].IsAbandoned.ShouldBeTrue();
        _clock.Advance(_options.LeaseLength);
        await turn;
    }

    [Fact]
    public async Task A_renewal_that_fails_while_the_worker_stops_is_tried_again()
    {
        await HoldAsync(1);
        _leases.FailuresOfRenew = 1;
        var stopping = _balancer.StopAsync(default);
        // One turn of the clock for each renewal: a clock that runs ahead of them would end the lease.
        for (var renewals = _leases.Renewals + 1; renewals <= 3; renewals++)
        {
            _clock.Advance(_options.RenewEvery);
            await Until.TrueAsync("a renewal", () => Task.FromResult(_leases.Renewals >= renewals));
        }

        _lanes[1].IsAbandoned.ShouldBeFalse();
        _lanes[1].Left.SetResult(true);
        await stopping;
        _leases.Released.ShouldBe([1]);
        _leases.HasLeft.ShouldBeTrue();
    }

    [Fact]
    public async Task A_worker_that_cannot_reach_the_broker_takes_no_lanes_until_it_can()
    {
        await HoldAsync(1);
        (_lanes[1].State, _lanes[1].IsAlive) = (LaneState.Opening, false);
        _links.CanConnect = false;
        await TickAsync();
        _leases.TakesLanes.ShouldBeFalse();
        await TickAsync();
        await TickAsync();
        _leases.TakesLanes.ShouldBeFalse();

        _links.CanConnect = true;
        await TickAsync(); // Hears of the last failure.
        await TickAsync(); // Asks again.
        await TickAsync();

        _leases.TakesLanes.ShouldBeTrue();
    }

    public void Dispose() => _meters.Dispose();

    private async Task HoldAsync(params int[] lanes)
    {
        _leases.Mine = lanes;
        await TickAsync();
        _lanes.Keys.ShouldBe(lanes, ignoreOrder: true);
    }

    private async Task TickAsync()
    {
        await _balancer.TickAsync(default);
        _clock.Advance(_options.RenewEvery);
    }

    private sealed class ScriptedLane(int number) : ILane
    {
        public TaskCompletionSource<bool> Left { get; } = new();

        public int Number => number;

        public bool IsAlive { get; set; } = true;

        public LaneState State { get; set; } = LaneState.Consuming;

        public bool IsLeaving { get; private set; }

        public bool IsAbandoned { get; private set; }

        public Task<bool> LeaveAsync()
        {
            IsLeaving = true;
            return Left.Task;
        }

        public Task AbandonAsync()
        {
            IsAbandoned = true;
            return Left.Task;
        }
    }

    private sealed class ScriptedLeases : ILaneLeases
    {
        /// <summary>What this worker holds; a lane that was not renewed leaves it.</summary>
        public int[] Mine { get; set; } = [];

        public long Epoch { get; set; } = 1;

        public int HandOver { get; set; }

        public bool Hangs { get; set; }

        public int FailuresOfRenew { get; set; }

        public HashSet<int> Lost { get; } = [];

        public IReadOnlyCollection<int> Renewed { get; private set; } = [];

        public bool TakesLanes { get; private set; }

        public int Renewals { get; private set; }

        public List<int> Released { get; } = [];

        public bool HasLeft { get; private set; }

        public async Task<LaneBalance> BalanceAsync(
            IReadOnlyCollection<int> alive,
            bool takesLanes,
            CancellationToken cancellation
        )
        {
            if (Hangs)
                await new TaskCompletionSource().Task.WaitAsync(cancellation);
            var isFirst = Renewed.Count == 0 && Renewals++ == 0;
            (Renewed, TakesLanes) = (alive, takesLanes);
            var held = Mine.Where(x => isFirst || alive.Contains(x) || Epoch > 1).Except(Lost).Except(Released);
            var handOver = HandOver;
            HandOver = 0;
            return new LaneBalance(held.ToDictionary(x => x, _ => Epoch), handOver);
        }

        public Task<IReadOnlyDictionary<int, long>> RenewAsync(
            IReadOnlyCollection<int> alive,
            CancellationToken cancellation
        )
        {
            Renewals++;
            if (FailuresOfRenew-- > 0)
                throw new TimeoutException("The database is not there.");
            return Task.FromResult<IReadOnlyDictionary<int, long>>(alive.ToDictionary(x => x, _ => Epoch));
        }

        public Task ReleaseAsync(int lane, long epoch, CancellationToken cancellation)
        {
            Released.Add(lane);
            return Task.CompletedTask;
        }

        public Task LeaveAsync(CancellationToken cancellation)
        {
            HasLeft = true;
            return Task.CompletedTask;
        }
    }

    private sealed class ScriptedProbe : ILaneLinks
    {
        public bool CanConnect { get; set; } = true;

        public Task<ILaneLink> OpenAsync(int lane, ushort prefetch, CancellationToken cancellation) =>
            throw new NotSupportedException("The lanes of these tests open no links.");

        public Task<bool> CanConnectAsync(CancellationToken cancellation) => Task.FromResult(CanConnect);
    }
}
