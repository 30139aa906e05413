using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>A broker whose queues another version has declared, and the worker and the migration that find it.</summary>
public sealed class TopologyUpgradeTests : Stack
{
    private const int Lanes = 8;
    private const string Outdated = "project-lane-03";
    private const string OtherLane = "project-lane-05";
    private const string WorkQueue = "import-image";

    private IConnection _connection = null!;
    private IChannel _channel = null!;

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        _connection = await new ConnectionFactory { Uri = Broker }.CreateConnectionAsync();
        _channel = await _connection.CreateChannelAsync(new CreateChannelOptions(true, true));
    }

    public override async Task DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
        await base.DisposeAsync();
    }

    [Fact]
    public async Task Queues_of_an_earlier_version_are_declared_anew_once_they_are_empty_and_unused()
    {
        await DeclareAsEarlierAsync(Outdated, deliveryLimit: 100, isLane: true);
        await DeclareAsEarlierAsync(WorkQueue, deliveryLimit: 20, isLane: false);
        var earlier = await ArgumentsAsync();

        // A worker says it in one line and leaves everything as it is.
        var worker = StartWorker("new");
        await UntilAsync("the worker gave up", () => Task.FromResult(worker.HasExited));
        worker.ExitCode.ShouldBe(1);
        worker.Log.ShouldContain("run 'migrate'");
        worker.Log.Split('\n').Length.ShouldBe(1, worker.Log);

        // One lane that is bound anew can move projects between all of them: a message in another one is in the way.
        await using var publisher = NewPublisher();
        await PutAsync(OtherLane);
        var waiting = await RefusedAsync();
        waiting.ShouldContain($"{OtherLane} (1 messages, 0 consumers)");
        waiting.ShouldNotContain(Outdated);
        ((int)await _channel.QueuePurgeAsync(OtherLane)).ShouldBe(1);

        // So is a consumer.
        var tag = await _channel.BasicConsumeAsync(WorkQueue, autoAck: false, new AsyncEventingBasicConsumer(_channel));
        (await RefusedAsync()).ShouldContain($"{WorkQueue} (0 messages, 1 consumers)");
        await _channel.BasicCancelAsync(tag);
        (await ArgumentsAsync()).ShouldBe(earlier);
        await RoutedAsync(publisher);

        var migrated = await WorkerProcess.MigrateAsync(Settings);

        migrated.ShouldContain($"Declared anew: {WorkQueue}, {Outdated}.");
        (await ArgumentsAsync())[Outdated].ShouldContain("at-least-once");
        (await ArgumentsAsync())[WorkQueue].ShouldContain("at-least-once");
        (await WorkerProcess.MigrateAsync(Settings)).ShouldNotContain("Declared anew");
        await RoutedAsync(publisher);
    }

    [Fact]
    public async Task Migration_that_was_killed_between_its_steps_is_carried_on_by_the_next()
    {
        await DeclareAsEarlierAsync(Outdated, deliveryLimit: 100, isLane: true);
        await DeclareAsEarlierAsync(OtherLane, deliveryLimit: 100, isLane: true);
        // As it leaves them: no command reaches the lanes, one lane is gone and another one not yet.
        await _channel.ExchangeUnbindAsync(WireNames.LanesExchange, "define-scenes", "");
        await _channel.QueueUnbindAsync(Outdated, Outdated, "");
        await _channel.QueueDeleteAsync(OtherLane);
        await using var publisher = NewPublisher();
        await Should.ThrowAsync<UnroutableMessageException>(() =>
            publisher.PublishAsync(Commands.Storyboard(Guid.NewGuid(), 1).ToWire(), CancellationToken.None)
        );

        (await WorkerProcess.MigrateAsync(Settings)).ShouldContain($"Declared anew: {Outdated}.");

        await RoutedAsync(publisher);
    }

    [Fact]
    public async Task Lane_beyond_the_count_keeps_a_worker_from_starting()
    {
        await DeclareAsEarlierAsync(WireNames.LaneQueue(Lanes), deliveryLimit: 1000, isLane: true);

        var worker = StartWorker("fewer");
        await UntilAsync("the worker gave up", () => Task.FromResult(worker.HasExited));

        worker.ExitCode.ShouldBe(1);
        worker.Log.ShouldContain("Queue 'project-lane-08' exists although Lanes__Count is 8");
        worker.Log.Split('\n').Length.ShouldBe(1, worker.Log);
    }

    /// <summary>Makes a queue as versions before this one did.</summary>
    private async Task DeclareAsEarlierAsync(string queue, int deliveryLimit, bool isLane)
    {
        await _channel.QueueDeleteAsync(queue);
        var arguments = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["x-queue-type"] = "quorum",
            ["x-delivery-limit"] = deliveryLimit,
            ["x-dead-letter-exchange"] = WireNames.ErrorQueue(queue),
        };
        if (isLane)
            arguments["x-single-active-consumer"] = true;
        await _channel.QueueDeclareAsync(queue, durable: true, exclusive: false, autoDelete: false, arguments);
        await _channel.ExchangeDeclareAsync(queue, ExchangeType.Fanout, durable: true);
        await _channel.QueueBindAsync(queue, queue, routingKey: "");
        if (isLane)
            await _channel.QueueBindAsync(queue, WireNames.LanesExchange, routingKey: "1");
    }

    /// <summary>Puts a message into a queue past every exchange of the pipeline.</summary>
    private async Task PutAsync(string queue) =>
        await _channel.BasicPublishAsync("", queue, mandatory: true, "{}"u8.ToArray());

    private async Task<string> RefusedAsync()
    {
        var error = await Should.ThrowAsync<InvalidOperationException>(() => WorkerProcess.MigrateAsync(Settings));
        error.Message.ShouldContain("Nothing was changed");
        return error.Message;
    }

    /// <summary>Shows that commands of many projects reach lanes, and takes them out again.</summary>
    private async Task RoutedAsync(ConfirmedPublisher publisher)
    {
        const int count = 100;
        await publisher.PublishAllAsync(
            Enumerable.Range(0, count).Select(_ => Commands.Storyboard(Guid.NewGuid(), 1).ToWire()),
            CancellationToken.None
        );
        var taken = 0;
        for (var lane = 0; lane < Lanes; lane++)
        {
            var inLane = (int)await _channel.QueuePurgeAsync(WireNames.LaneQueue(lane));
            inLane.ShouldBePositive();
            taken += inLane;
        }

        taken.ShouldBe(count);
    }

    private async Task<Dictionary<string, string>> ArgumentsAsync()
    {
        using var management = new BrokerManagement();
        var arguments = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var queue in new[] { Outdated, OtherLane, WorkQueue })
            arguments[queue] = await management.GetAsync($"/api/queues{Broker.AbsolutePath}/{queue}?columns=arguments");
        return arguments;
    }
}
