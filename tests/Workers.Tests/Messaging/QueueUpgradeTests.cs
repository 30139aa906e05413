using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts.Storyboards;
using Pipeline.Wire;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Tests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Messaging;

/// <summary>An upgrade of the lanes, stopped where it waits for what is on its way.</summary>
public sealed class QueueUpgradeTests : SlicePipeline
{
    private const int Lanes = 2;

    private static readonly Type[] Commands = [typeof(DefineScenes)];

    private static readonly QueueGroup Group = LaneTopology.GroupOf(Lanes, Commands);

    private readonly ManualClock _clock = new();
    private IConnection _connection = null!;
    private IChannel _channel = null!;
    private ConfirmedPublisher _publisher = null!;

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        var broker = Services.GetRequiredService<MessagingOptions>().Broker;
        _publisher = new ConfirmedPublisher(broker, "upgrade tests");
        _connection = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync();
        _channel = await _connection.CreateChannelAsync(new CreateChannelOptions(true, true));
        // One lane as an earlier version declared it.
        var arguments = new Dictionary<string, object?>(Group.Queues[^1].Arguments, StringComparer.Ordinal);
        arguments.Remove("x-dead-letter-strategy").ShouldBeTrue();
        await LaneTopology.DeclareAsync(_channel, Lanes, Commands, default);
        await _channel.QueueDeleteAsync(WireNames.LaneQueue(1));
        await new DeclaredQueue(WireNames.LaneQueue(1), arguments).DeclareAsync(_channel, default);
        await _channel.QueueBindAsync(WireNames.LaneQueue(1), WireNames.LaneQueue(1), "");
        await _channel.QueueBindAsync(WireNames.LaneQueue(1), WireNames.LanesExchange, "1");
    }

    public override async Task DisposeAsync()
    {
        if (_publisher is not null)
            await _publisher.DisposeAsync();
        if (_connection is not null)
            await _connection.DisposeAsync();
        await base.DisposeAsync();
    }

    [Fact]
    public async Task No_command_reaches_a_lane_while_the_lanes_are_declared_anew()
    {
        var applying = new QueueUpgrade(_connection, _clock).ApplyAsync([Group], default);
        await Until.TrueAsync("the upgrade waits", () => Task.FromResult(_clock.HasTimers || applying.IsCompleted));

        // Of many projects: some of them have each lane.
        for (var i = 0; i < 20; i++)
            await Should.ThrowAsync<UnroutableMessageException>(() => PublishAsync());
        _clock.Advance(TimeSpan.FromSeconds(1));

        (await applying).ShouldBe([WireNames.LaneQueue(1)]);
        await LaneTopology.DeclareAsync(_channel, Lanes, Commands, default);
        for (var i = 0; i < 20; i++)
            await PublishAsync();
        (await _channel.MessageCountAsync(WireNames.LaneQueue(0))).ShouldBeGreaterThan(0U);
        (await _channel.MessageCountAsync(WireNames.LaneQueue(1))).ShouldBeGreaterThan(0U);
    }

    [Fact]
    public async Task Message_that_comes_while_the_upgrade_waits_stops_it_and_everything_is_bound_again()
    {
        var applying = new QueueUpgrade(_connection, _clock).ApplyAsync([Group], default);
        await Until.TrueAsync("the upgrade waits", () => Task.FromResult(_clock.HasTimers || applying.IsCompleted));

        await _channel.BasicPublishAsync("", WireNames.LaneQueue(0), mandatory: true, "{}"u8.ToArray());
        _clock.Advance(TimeSpan.FromSeconds(1));

        var error = await Should.ThrowAsync<QueueInUseException>(() => applying);
        error.Message.ShouldContain("project-lane-00 (1 messages, 0 consumers)");
        for (var i = 0; i < 20; i++)
            await PublishAsync();
        (await _channel.MessageCountAsync(WireNames.LaneQueue(1))).ShouldBeGreaterThan(0U);
        await _channel.ExchangeDeclarePassiveAsync(WireNames.LaneQueue(1));
        await _publisher.PublishAsync(
            new WireMessage(WireNames.LaneQueue(1), "", Guid.NewGuid(), "{}"u8.ToArray(), Mandatory: true),
            default
        );
    }

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() => [];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        // The broker alone.
    }

    private Task PublishAsync()
    {
        var define = new DefineScenes(Guid.NewGuid(), Guid.NewGuid(), [new SceneDefinition("s", 1, null)]);
        return _publisher.PublishAsync(WireMessage.Command(define), default);
    }
}
