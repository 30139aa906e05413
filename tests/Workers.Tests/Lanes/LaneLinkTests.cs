using System.Text;
using Pipeline.Wire;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>A lane's link on the real broker: what order and hand-over rest on.</summary>
public sealed class LaneLinkTests(ScratchLane lane) : IClassFixture<ScratchLane>, IAsyncLifetime
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    // Each test has a lane, and so a queue, of its own.
    private static int _lanes = 10;

    private readonly int _lane = Interlocked.Increment(ref _lanes);
    private readonly LaneOptions _options = new() { BufferLimitBytes = 1024 * 1024 };
    private IChannel _channel = null!;

    private string Queue => WireNames.LaneQueue(_lane);

    private LaneLinks Links => new(new MessagingOptions(lane.Broker), _options);

    public async Task InitializeAsync()
    {
        _channel = await lane.Connection.CreateChannelAsync();
        var arguments = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["x-queue-type"] = "quorum",
            ["x-single-active-consumer"] = true,
        };
        await _channel.QueueDeclareAsync(Queue, durable: true, exclusive: false, autoDelete: false, arguments);
    }

    public async Task DisposeAsync() => await _channel.DisposeAsync();

    /// <summary>The fact that the design rests on, without any of our code.</summary>
    [Theory]
    [InlineData(true, "3 4")]
    [InlineData(false, "1 2 3 4")]
    public async Task A_cancelled_consumer_is_overtaken_and_one_whose_channel_is_closed_is_not(
        bool cancels,
        string heirs
    )
    {
        await PublishAsync("1", "2", "3", "4");
        await using var connection = await new ConnectionFactory { Uri = lane.Broker }.CreateConnectionAsync();
        var first = await connection.CreateChannelAsync();
        await first.BasicQosAsync(0, 2, global: false);
        var holder = new Listener();
        var tag = await first.BasicConsumeAsync(Queue, autoAck: false, holder);
        await holder.UntilAsync(2);
        await using var second = await connection.CreateChannelAsync();
        var heir = new Listener();
        await second.BasicConsumeAsync(Queue, autoAck: false, heir);

        if (cancels)
            await first.BasicCancelAsync(tag);
        else
            await first.CloseAsync();

        (await heir.UntilAsync(heirs.Split(' ').Length)).ShouldBe(heirs);
    }

    [Fact]
    public async Task What_is_not_acknowledged_comes_back_in_its_order_when_the_link_is_closed()
    {
        await PublishAsync("1", "2", "3", "4", "5");
        await using var first = await Links.OpenAsync(_lane, 4, default);
        await using var heir = await Links.OpenAsync(_lane, 256, default); // Waits behind the first.
        (await TakeAsync(first, 4)).ShouldBe("1 2 3 4");
        await first.AcknowledgeAsync(2, default);

        (await first.CloseAsync()).ShouldBeTrue();

        (await TakeAsync(heir, 3)).ShouldBe("3 4 5");
        first.Lost.IsCancellationRequested.ShouldBeTrue();
    }

    [Fact]
    public async Task A_gap_in_the_tags_loses_the_link()
    {
        var link = (LaneLink)await Links.OpenAsync(_lane, 4, default);
        await link.HandleBasicDeliverAsync("tag", 1, false, "", "", new BasicProperties(), default);

        await link.HandleBasicDeliverAsync("tag", 3, false, "", "", new BasicProperties(), default);
        await link.HandleBasicDeliverAsync("tag", 2, false, "", "", new BasicProperties(), default);

        link.Loss!.Reason.ShouldContain("delivery 3 follows 1");
        link.Deliveries.TryRead(out var only).ShouldBeTrue();
        only!.Tag.ShouldBe(1ul);
        link.Deliveries.TryRead(out _).ShouldBeFalse();
        await link.DisposeAsync();
    }

    [Fact]
    public async Task Bodies_above_the_memory_limit_lose_the_link_and_a_single_one_does_not()
    {
        var large = new string('x', (1024 * 1024) + 1);
        await PublishAsync(large, large, "small");
        await using (var link = await Links.OpenAsync(_lane, 256, default))
        {
            await UntilLostAsync(link);
            link.Loss!.IsTooMuchData.ShouldBeTrue();
        }

        await using var one = await Links.OpenAsync(_lane, 1, default);
        foreach (var expected in new[] { large.Length, large.Length, "small".Length })
        {
            var delivery = await one.Deliveries.ReadAsync().AsTask().WaitAsync(Bound);
            delivery.Body.Length.ShouldBe(expected);
            await one.AcknowledgeAsync(delivery.Tag, default);
        }
    }

    [Fact]
    public async Task A_deleted_queue_loses_the_link_and_opening_another_one_says_why_it_fails()
    {
        await using var link = await Links.OpenAsync(_lane, 4, default);

        await _channel.QueueDeleteAsync(Queue);

        await UntilLostAsync(link);
        link.Loss!.Reason.ShouldContain("the queue was deleted");
        var error = await Should.ThrowAsync<Exception>(() => Links.OpenAsync(_lane, 4, default));
        error.Message.ShouldContain("404");
    }

    [Fact]
    public async Task Whether_the_broker_can_be_reached_is_told()
    {
        (await Links.CanConnectAsync(default)).ShouldBeTrue();
        var nowhere = new UriBuilder(lane.Broker) { Port = 9 }.Uri;

        (await new LaneLinks(new MessagingOptions(nowhere), _options).CanConnectAsync(default)).ShouldBeFalse();
    }

    private async Task PublishAsync(params string[] bodies)
    {
        await using var publisher = new ConfirmedPublisher(lane.Broker, "link tests");
        await publisher.PublishAllAsync(
            bodies.Select(x => new WireMessage("", Queue, Guid.NewGuid(), Encoding.UTF8.GetBytes(x), Mandatory: true)),
            default
        );
    }

    private static async Task<string> TakeAsync(ILaneLink link, int count)
    {
        var taken = new List<string>();
        while (taken.Count < count)
        {
            var delivery = await link.Deliveries.ReadAsync().AsTask().WaitAsync(Bound);
            taken.Add(Encoding.UTF8.GetString(delivery.Body.Span));
        }

        return string.Join(' ', taken);
    }

    private static Task UntilLostAsync(ILaneLink link) =>
        Until.TrueAsync("the link is lost", () => Task.FromResult(link.Lost.IsCancellationRequested));

    /// <summary>A consumer that notes what it gets and answers nothing.</summary>
    private sealed class Listener : IAsyncBasicConsumer
    {
        private readonly List<string> _heard = [];

        public IChannel? Channel => null;

        public async Task<string> UntilAsync(int count)
        {
            await Until.TrueAsync($"{count} deliveries", () => Task.FromResult(Heard().Length >= count));
            return string.Join(' ', Heard());
        }

        public Task HandleBasicDeliverAsync(
            string consumerTag,
            ulong deliveryTag,
            bool redelivered,
            string exchange,
            string routingKey,
            IReadOnlyBasicProperties properties,
            ReadOnlyMemory<byte> body,
            CancellationToken cancellationToken = default
        )
        {
            lock (_heard)
                _heard.Add(Encoding.UTF8.GetString(body.Span));
            return Task.CompletedTask;
        }

        public Task HandleBasicCancelAsync(string consumerTag, CancellationToken cancellationToken = default) =>
            Task.CompletedTask;

        public Task HandleBasicCancelOkAsync(string consumerTag, CancellationToken cancellationToken = default) =>
            Task.CompletedTask;

        public Task HandleBasicConsumeOkAsync(string consumerTag, CancellationToken cancellationToken = default) =>
            Task.CompletedTask;

        public Task HandleChannelShutdownAsync(object channel, RabbitMQ.Client.Events.ShutdownEventArgs reason) =>
            Task.CompletedTask;

        private string[] Heard()
        {
            lock (_heard)
                return [.. _heard];
        }
    }
}
