using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Wire;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Tests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>One lane on links, work and a clock that the test controls. Interleavings are the model test's.</summary>
public sealed class LaneTests : ILaneLinks, ILaneWork, ILanePublisher
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    private readonly ManualClock _clock = new();
    private readonly LaneOptions _options = new();
    private readonly Channel<ScriptedLink> _opened = Channel.CreateUnbounded<ScriptedLink>();
    private readonly Channel<int> _batches = Channel.CreateUnbounded<int>();
    private Func<CancellationToken, Task> _work = _ => Task.CompletedTask;
    private Exception? _refusal;

    [Fact]
    public async Task What_is_at_hand_is_one_batch_with_one_acknowledgement()
    {
        var first = new TaskCompletionSource();
        _work = given => first.Task.WaitAsync(given);
        var lane = NewLane();
        var link = await NextLinkAsync();
        link.Deliver(1);
        (await NextBatchAsync()).ShouldBe(1);
        link.Deliver(5); // While the first one is in work.

        first.SetResult();

        (await NextBatchAsync()).ShouldBe(5);
        (await link.Acknowledged.Reader.ReadAsync().AsTask().WaitAsync(Bound)).ShouldBe(1ul);
        (await link.Acknowledged.Reader.ReadAsync().AsTask().WaitAsync(Bound)).ShouldBe(6ul);
        (await lane.LeaveAsync()).ShouldBeTrue();
        link.IsClosed.ShouldBeTrue();
    }

    [Fact]
    public async Task A_lane_that_breaks_again_and_again_takes_one_message_at_a_time()
    {
        // As where even the failure cannot be written: nothing of the batch may be acknowledged.
        _work = _ => throw new InvalidOperationException("The receipts table is gone.");
        var lane = NewLane();
        var prefetches = new List<int>();
        for (var round = 0; round < 30; round++)
        {
            var link = await NextLinkAsync();
            prefetches.Add(link.Prefetch);
            link.Deliver(1);
            await NextBatchAsync();
        }

        prefetches.Count(x => x > 1).ShouldBe(LaneOptions.BreaksBeforeOneByOne);

        // Once it works again, the lane comes back to its full prefetch after as many messages.
        _work = _ => Task.CompletedTask;
        var small = await NextLinkAsync();
        for (var i = 0; i < _options.Prefetch; i++)
        {
            small.Deliver(1);
            await NextBatchAsync();
        }

        (await NextLinkAsync()).Prefetch.ShouldBe(_options.Prefetch);
        await lane.AbandonAsync();
    }

    [Fact]
    public async Task A_lost_link_without_work_in_it_is_no_reason_to_slow_down()
    {
        var lane = NewLane();
        for (var round = 0; round < 20; round++)
        {
            var link = await NextLinkAsync();
            link.Prefetch.ShouldBe(_options.Prefetch);
            link.Lose(new LinkLoss("320 closed by the operator"));
        }

        await lane.AbandonAsync();
    }

    [Fact]
    public async Task Too_much_data_at_hand_makes_the_next_prefetch_small()
    {
        var lane = NewLane();
        (await NextLinkAsync()).Lose(new LinkLoss("5 deliveries have 70000000 bytes", IsTooMuchData: true));

        (await NextLinkAsync()).Prefetch.ShouldBe(LaneOptions.LargeBodyPrefetch);
        await lane.AbandonAsync();
    }

    [Fact]
    public async Task An_idle_lane_lives_and_one_whose_batch_does_not_end_does_not()
    {
        var stuck = new TaskCompletionSource();
        _work = given => stuck.Task.WaitAsync(given);
        var lane = NewLane();
        var link = await NextLinkAsync();
        await Until.TrueAsync("idle", () => Task.FromResult(lane.State == LaneState.Consuming));
        _clock.Advance(_options.ProgressLimit * 100);
        lane.IsAlive.ShouldBeTrue();

        link.Deliver(1);
        await NextBatchAsync();
        _clock.Advance(_options.ProgressLimit * 0.99);
        lane.IsAlive.ShouldBeTrue();
        _clock.Advance(_options.ProgressLimit * 0.02);

        lane.IsAlive.ShouldBeFalse();
        await lane.AbandonAsync();
    }

    [Fact]
    public async Task A_lane_without_a_link_does_not_live_for_long()
    {
        _refusal = new TimeoutException("The broker is not there.");
        var lane = NewLane();
        lane.IsAlive.ShouldBeTrue();

        _clock.Advance(_options.OpenLimit);

        lane.IsAlive.ShouldBeFalse();
        _refusal = null;
        await NextLinkAsync();
        await Until.TrueAsync("linked", () => Task.FromResult(lane.IsAlive));
        await lane.AbandonAsync();
    }

    [Fact]
    public async Task A_close_that_the_broker_does_not_confirm_is_told()
    {
        var lane = NewLane();
        (await NextLinkAsync()).ConfirmsClose = false;

        (await lane.LeaveAsync()).ShouldBeFalse();

        lane.State.ShouldBe(LaneState.Gone);
    }

    [Fact]
    public async Task Leaving_waits_for_the_batch_in_work_and_only_so_long()
    {
        _work = given => new TaskCompletionSource().Task.WaitAsync(given);
        var lane = NewLane();
        var link = await NextLinkAsync();
        link.Deliver(3);
        await NextBatchAsync();

        var leaving = lane.LeaveAsync();
        _clock.Advance(_options.DrainLimit);

        (await leaving.WaitAsync(Bound)).ShouldBeFalse();
        link.Acknowledged.Reader.TryRead(out _).ShouldBeFalse();
        lane.State.ShouldBe(LaneState.Gone);
    }

    [Theory]
    [InlineData(0, 256)]
    [InlineData(1, 256)]
    [InlineData(2, 64)]
    [InlineData(3, 16)]
    [InlineData(4, 4)]
    [InlineData(5, 1)]
    [InlineData(1000, 1)]
    public void A_batch_shrinks_with_the_redeliveries_of_its_messages(int redeliveries, int size) =>
        LaneBatch.LimitOf(redeliveries, 256).ShouldBe(size);

    async Task<ILaneLink> ILaneLinks.OpenAsync(int lane, ushort prefetch, CancellationToken cancellation)
    {
        await Task.Yield();
        if (_refusal is not null)
            throw _refusal;
        var link = new ScriptedLink(prefetch);
        _opened.Writer.TryWrite(link);
        return link;
    }

    Task<bool> ILaneLinks.CanConnectAsync(CancellationToken cancellation) => Task.FromResult(true);

    async Task<IReadOnlyList<WireMessage>> ILaneWork.ApplyAsync(
        int lane,
        IReadOnlyList<Delivery> batch,
        CancellationToken given
    )
    {
        _batches.Writer.TryWrite(batch.Count);
        await _work(given);
        return [];
    }

    Task ILanePublisher.PublishAsync(int lane, IReadOnlyList<WireMessage> messages, CancellationToken given) =>
        Task.CompletedTask;

    private Lane NewLane() => new(3, _options, this, this, this, metrics: null, _clock, NullLogger.Instance);

    /// <summary>The next link that the lane opens; time passes until it does.</summary>
    private async Task<ScriptedLink> NextLinkAsync()
    {
        ScriptedLink? link = null;
        await Until.TrueAsync(
            "a link",
            () =>
            {
                if (_opened.Reader.TryRead(out link))
                    return Task.FromResult(true);
                _clock.Advance(TimeSpan.FromSeconds(1));
                return Task.FromResult(false);
            }
        );
        return link!;
    }

    private Task<int> NextBatchAsync() => _batches.Reader.ReadAsync().AsTask().WaitAsync(Bound);

    private sealed class ScriptedLink(ushort prefetch) : ILaneLink
    {
        private readonly Channel<Delivery> _deliveries = Channel.CreateUnbounded<Delivery>();
        private readonly CancellationTokenSource _lost = new();
        private ulong _tag;

        public ushort Prefetch => prefetch;

        public bool ConfirmsClose { get; set; } = true;

        public bool IsClosed { get; private set; }

        public Channel<ulong> Acknowledged { get; } = Channel.CreateUnbounded<ulong>();

        public ChannelReader<Delivery> Deliveries => _deliveries.Reader;

        public CancellationToken Lost => _lost.Token;

        public LinkLoss? Loss { get; private set; }

        /// <summary>So many deliveries, one behind the other.</summary>
        public void Deliver(int count)
        {
            for (var i = 0; i < count; i++)
                _deliveries.Writer.TryWrite(new Delivery("", ++_tag, "", "", new BasicProperties(), default));
        }

        public void Lose(LinkLoss loss)
        {
            Loss = loss;
            _lost.Cancel();
            _deliveries.Writer.TryComplete(new LinkLostException(loss));
        }

        public Task AcknowledgeAsync(ulong upTo, CancellationToken cancellation)
        {
            Acknowledged.Writer.TryWrite(upTo);
            return Task.CompletedTask;
        }

        public Task<bool> CloseAsync()
        {
            IsClosed = true;
            return Task.FromResult(ConfirmsClose);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
