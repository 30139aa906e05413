using System.Text;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Tests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Messaging;

/// <summary>One message that the broker does not take, or one worker that cannot reach it, stops nobody else's.</summary>
public sealed class OutboxHoldTests : SlicePipeline
{
    private const string Exchange = "outbox-holds";
    private const string Missing = "outbox-missing";
    private const int Count = 40;

    // More than the broker takes in one message (max_message_size).
    private const int TooLong = 17 * 1024 * 1024;

    private static readonly string LeaderSql = $"""
        select count(*) from pg_locks where locktype = 'advisory' and granted and objsubid = 2
            and classid = {(int)LockUse.OutboxLeader} and objid = 0
            and database = (select oid from pg_database where datname = current_database())
        """;

    private IConnection _broker = null!;
    private IChannel _channel = null!;

    private MessagingOptions Options => Services.GetRequiredService<MessagingOptions>();

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        _broker = await new ConnectionFactory { Uri = Options.Broker }.CreateConnectionAsync();
        _channel = await _broker.CreateChannelAsync();
        await DeclareAsync(Exchange);
    }

    public override async Task DisposeAsync()
    {
        await _broker.DisposeAsync();
        await base.DisposeAsync();
    }

    [Fact]
    public async Task Missing_exchange_holds_up_its_own_messages_only_until_it_is_there()
    {
        // Several of them, between the others and before all.
        await AppendAsync(
            Enumerable.Range(0, Count).Select(x => (x % 10 == 0 ? Missing : Exchange, Body($"number {x}")))
        );
        var clock = new SkippingClock();
        using var relay = NewRelay(Options, clock);
        await relay.StartAsync(CancellationToken.None);

        await UntilTakenAsync(Exchange, Enumerable.Range(0, Count).Where(x => x % 10 != 0));
        (await AskAsync("select count(*) from pipeline.outbox")).ShouldBe($"{Count / 10}");

        await DeclareAsync(Missing);
        clock.Skip(TimeSpan.FromMinutes(1));
        await UntilTakenAsync(Missing, Enumerable.Range(0, Count).Where(x => x % 10 == 0));
        await Until.TrueAsync(
            "none is left",
            async () => await AskAsync("select count(*) from pipeline.outbox") == "0"
        );
        await relay.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Message_that_the_broker_does_not_take_holds_up_no_other_of_its_exchange()
    {
        await AppendAsync(
            Enumerable.Range(0, Count).Select(x => (Exchange, x == 3 ? new byte[TooLong] : Body($"number {x}")))
        );
        using var relay = NewRelay(Options, TimeProvider.System);
        await relay.StartAsync(CancellationToken.None);

        await UntilTakenAsync(Exchange, Enumerable.Range(0, Count).Where(x => x != 3));

        await Until.TrueAsync("it stays", async () => await AskAsync("select count(*) from pipeline.outbox") == "1");
        await relay.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Leader_that_cannot_reach_the_broker_gives_the_lead_to_one_that_can()
    {
        await AppendAsync([(Exchange, Body("number 0"))]);
        var nowhere = new UriBuilder(Options.Broker) { Port = 9 }.Uri; // Nobody listens at the port "discard".
        using var cutOff = NewRelay(Options with { Broker = nowhere }, TimeProvider.System);
        await cutOff.StartAsync(CancellationToken.None);
        await Until.TrueAsync("it leads", async () => await AskAsync(LeaderSql) == "1");

        using var other = NewRelay(Options, TimeProvider.System);
        await other.StartAsync(CancellationToken.None);

        await UntilTakenAsync(Exchange, [0]);
        await cutOff.StopAsync(CancellationToken.None);
        await other.StopAsync(CancellationToken.None);
    }

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() => [];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        // The rooms alone.
    }

    private OutboxRelay NewRelay(MessagingOptions options, TimeProvider clock) =>
        new(Database, options, Services.GetRequiredService<OutboxMetrics>(), clock, NullLogger<OutboxRelay>.Instance)
        {
            YieldAfter = TimeSpan.FromSeconds(1),
        };

    private static byte[] Body(string text) => Encoding.UTF8.GetBytes(text);

    private async Task DeclareAsync(string exchange)
    {
        await _channel.ExchangeDeclareAsync(exchange, ExchangeType.Fanout);
        await _channel.QueueDeclareAsync(exchange, durable: true, exclusive: false, autoDelete: false);
        await _channel.QueueBindAsync(exchange, exchange, "");
    }

    private async Task AppendAsync(IEnumerable<(string Exchange, byte[] Body)> messages)
    {
        await using var connection = await Database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await Outbox.AppendAsync(
            connection,
            transaction,
            [.. messages.Select(x => new WireMessage(x.Exchange, "", Guid.NewGuid(), x.Body, Mandatory: true))],
            CancellationToken.None
        );
        await transaction.CommitAsync();
    }

    /// <summary>
    /// Takes messages until the last one has come. What was on its way when a channel closed comes once more: in the
    /// order in which each came last, nothing is overtaken.
    /// </summary>
    private async Task UntilTakenAsync(string queue, IEnumerable<int> numbers)
    {
        string[] expected = [.. numbers.Select(x => $"number {x}")];
        var bodies = new List<string>();
        await Until.TrueAsync(
            $"all of {queue}",
            async () =>
            {
                while (await _channel.BasicGetAsync(queue, autoAck: true) is { } message)
                    bodies.Add(Encoding.UTF8.GetString(message.Body.Span));
                return expected.All(bodies.Contains);
            }
        );
        Enumerable.Reverse(bodies).Distinct(StringComparer.Ordinal).Reverse().ShouldBe(expected);
    }

    /// <summary>The system's clock, which a test moves on; timers go on as they were.</summary>
    private sealed class SkippingClock : TimeProvider
    {
        private long _skipped;

        public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref _skipped);

        public void Skip(TimeSpan time) =>
            Interlocked.Add(ref _skipped, (long)(time.TotalSeconds * TimestampFrequency));
    }
}
