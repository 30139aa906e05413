using Pipeline.Workers.Lanes;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>Whatever the start, workers that plan one after the other come to even shares and then keep still.</summary>
public sealed class LaneSharesTests(ITestOutputHelper output)
{
    private const int Distributions = 3_000;

    // Once to hand over, once to take; then two more for lanes that came free behind a worker's turn.
    private const int RoundLimit = 4;

    [Fact]
    public void Any_distribution_becomes_even_within_four_rounds_and_then_stays()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        for (var i = 0; i < Distributions; i++)
        {
            var group = Start(random);
            var start = string.Join(' ', group.Held.Values);

            var rounds = 0;
            while (!group.IsEven && rounds++ < RoundLimit)
                Round(group, random);

            group.IsEven.ShouldBeTrue($"{start} of {group.Lanes} became {string.Join(' ', group.Held.Values)}");
            var moves = group.Moves;
            Round(group, random);
            Round(group, random);
            group.Moves.ShouldBe(moves, $"{start} of {group.Lanes} goes on moving");
        }
    }

    [Fact]
    public void No_more_lanes_move_than_stand_above_the_even_share()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        for (var i = 0; i < Distributions; i++)
        {
            var group = Start(random);
            var start = string.Join(' ', group.Held.Values);
            var share = group.Lanes / group.Held.Count;
            var above = group.Held.Values.Sum(x => Math.Max(0, x - share));

            for (var round = 0; round < RoundLimit; round++)
                Round(group, random);

            group.HandOvers.ShouldBeLessThanOrEqualTo(above, $"{start} of {group.Lanes}");
        }
    }

    [Fact]
    public void Eight_lanes_on_three_workers_are_3_3_2()
    {
        var group = new Group(8, [8, 0, 0]);

        for (var round = 0; round < 2; round++)
            Round(group, new Random(1));

        group.Held.Values.Order().ShouldBe([2, 3, 3]);
    }

    [Fact]
    public void A_worker_alone_takes_every_lane() =>
        LaneShares.Plan(Guid.Empty, new Dictionary<Guid, int> { [Guid.Empty] = 0 }, lanes: 8).ShouldBe((8, 0));

    [Fact]
    public void Workers_beyond_the_lanes_hold_none_and_keep_still()
    {
        var group = new Group(2, [1, 1, 0, 0]);

        Round(group, new Random(1));

        group.Moves.ShouldBe(0);
    }

    private static Group Start(Random random)
    {
        var lanes = random.Next(1, 100);
        var held = new int[random.Next(1, 13)];
        for (var lane = 0; lane < lanes; lane++)
        {
            // Some lanes are free, as after a crash; low numbers are likelier, as after a start one by one.
            var holder = random.Next(-2, random.Next(1, held.Length + 1));
            if (holder >= 0)
                held[holder]++;
        }

        return new Group(lanes, held);
    }

    /// <summary>Each worker acts once, in any order, on what it sees at that moment, as under the balancing lock.</summary>
    private static void Round(Group group, Random random)
    {
        var workers = group.Held.Keys.ToArray();
        random.Shuffle(workers);
        foreach (var worker in workers)
            group.Act(worker);
    }

    private sealed class Group(int lanes, int[] held)
    {
        public int Lanes { get; } = lanes;

        public Dictionary<Guid, int> Held { get; } = held.ToDictionary(_ => Guid.NewGuid());

        public int Moves { get; private set; }

        public int HandOvers { get; private set; }

        public bool IsEven => Free == 0 && Held.Values.Max() - Held.Values.Min() <= 1;

        private int Free => Lanes - Held.Values.Sum();

        public void Act(Guid worker)
        {
            var (take, handOver) = LaneShares.Plan(worker, Held, Lanes);
            Math.Min(take, handOver).ShouldBe(0);
            take = Math.Min(take, Free);
            Held[worker] += take - handOver;
            Held[worker].ShouldBeGreaterThanOrEqualTo(0);
            Moves += take + handOver;
            HandOvers += handOver;
        }
    }
}
