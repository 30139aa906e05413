using Pipeline.Workers.Lanes;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>Deliveries are started in racing tasks; what they do to the database stands in the order of their tags.</summary>
public sealed class LaneSequencerTests(ScratchLane lane, ITestOutputHelper output) : IClassFixture<ScratchLane>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Guid _project = Guid.NewGuid();

    [Theory]
    [InlineData(256)]
    [InlineData(7)]
    public async Task Deliveries_settled_in_any_order_are_applied_in_the_order_of_their_tags(int batchLimit)
    {
        const int Count = 600;
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var order = Enumerable.Range(1, Count).ToArray();
        new Random(seed).Shuffle(order);
        var channel = lane.NewChannel(batchLimit: batchLimit);

        var answers = order.Select(tag => Task.Run(() => channel.Open((ulong)tag).ApplyAsync(Step(tag)))).ToArray();
        await Task.WhenAll(answers).WaitAsync(Patience);

        (await lane.StepsAsync(_project)).ShouldBe(Enumerable.Range(1, Count));
        var sizes = lane.Handler.Runs.Where(x => x.ProjectId == _project).Select(x => x.Size).ToArray();
        sizes.Max().ShouldBeInRange(2, batchLimit); // Batches were made, or the order would prove little.
    }

    [Fact]
    public async Task A_delivery_that_becomes_no_command_holds_up_nobody()
    {
        var channel = lane.NewChannel();
        var head = channel.Open(1);
        var gap = channel.Open(2);
        var secondGap = channel.Open(3);
        var tail = channel.Open(4).ApplyAsync(Step(4));

        gap.Leave();
        secondGap.Leave();
        var first = head.ApplyAsync(Step(1));

        await Task.WhenAll(first, tail).WaitAsync(Patience);
        (await lane.StepsAsync(_project)).ShouldBe([1, 4]);
    }

    [Fact]
    public async Task A_gap_at_the_head_is_passed_when_it_is_left()
    {
        var channel = lane.NewChannel();
        var gap = channel.Open(1);
        var next = channel.Open(2).ApplyAsync(Step(2));

        gap.Leave();

        await next.WaitAsync(Patience);
        (await lane.StepsAsync(_project)).ShouldBe([2]);
    }

    [Fact]
    public async Task An_undecided_head_holds_the_lane_only_until_it_is_settled()
    {
        var channel = lane.NewChannel();
        var head = channel.Open(1);
        var behind = Enumerable.Range(2, 4).Select(x => channel.Open((ulong)x).ApplyAsync(Step(x))).ToArray();
        await SomethingElseAsync();
        channel.IsStuck.ShouldBeTrue();
        (await lane.StepsAsync(_project)).ShouldBeEmpty();

        await Task.WhenAll([head.ApplyAsync(Step(1)), .. behind]).WaitAsync(Patience);

        (await lane.StepsAsync(_project)).ShouldBe([1, 2, 3, 4, 5]);
    }

    [Fact]
    public async Task Giving_up_closes_the_channel_and_lets_every_delivery_go_unanswered()
    {
        var closed = 0;
        var channel = lane.NewChannel(() => Task.FromResult(Interlocked.Increment(ref closed)));
        channel.Open(1);
        var waiting = channel.Open(2).ApplyAsync(Step(2));

        await channel.GiveUpAsync();

        await Should.ThrowAsync<OperationCanceledException>(() => waiting.WaitAsync(Patience));
        closed.ShouldBe(1);
        (await lane.StepsAsync(_project)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_place_is_taken_once()
    {
        var channel = lane.NewChannel();
        var ticket = channel.Open(1);

        await ticket.ApplyAsync(Step(1)).WaitAsync(Patience);
        await ticket.ApplyAsync(Step(2)).WaitAsync(Patience);
        ticket.Leave();

        ticket.IsSettled.ShouldBeTrue();
        (await lane.StepsAsync(_project)).ShouldBe([1]);
    }

    private LaneEntry Step(int number) => Steps.Entry(new TakeStep(Guid.NewGuid(), _project, number));

    /// <summary>Another lane's command, sent later and seen through: time enough for a mistake to show.</summary>
    private Task SomethingElseAsync() =>
        lane.NewChannel()
            .Open(1)
            .ApplyAsync(Steps.Entry(new TakeStep(Guid.NewGuid(), Guid.NewGuid(), 1)))
            .WaitAsync(Patience);
}

internal static class Steps
{
    public static LaneEntry Entry(TakeStep step, int replays = 0, int redeliveries = 0) =>
        LaneEntry.Of(step, step.CommandId, refusal: null, replays, redeliveries);
}
