using System.Text;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Tests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Messaging;

/// <summary>The order in which what transactions left in the outbox comes to the broker.</summary>
public sealed class OutboxRelayTests : SlicePipeline
{
    private const string Exchange = "outbox-order";
    private const int Batch = 500;

    private static readonly string LeaderSql = $"""
        select count(*) from pg_locks where locktype = 'advisory' and granted and objsubid = 2
            and classid = {(int)LockUse.OutboxLeader} and objid = 0
            and database = (select oid from pg_database where datname = current_database())
        """;

    private const string CancelSql = """
        select pg_cancel_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%pipeline.outbox%'
        """;

    private readonly List<NpgsqlConnection> _connections = [];

    public override async Task DisposeAsync()
    {
        foreach (var connection in _connections)
            await connection.DisposeAsync();
        await base.DisposeAsync();
    }

    [Fact]
    public async Task Message_that_is_committed_while_a_batch_is_relayed_is_not_overtaken_by_a_later_one()
    {
        var options = Services.GetRequiredService<MessagingOptions>();
        await using var broker = await new ConnectionFactory { Uri = options.Broker }.CreateConnectionAsync();
        await using var channel = await broker.CreateChannelAsync();
        await channel.ExchangeDeclareAsync(Exchange, ExchangeType.Fanout);
        await channel.QueueDeclareAsync(Exchange, durable: true, exclusive: false, autoDelete: false);
        await channel.QueueBindAsync(Exchange, Exchange, "");

        // One saga's first message has the first id, and is not committed yet; behind it is a full batch of others'.
        await using var first = await BeginAsync();
        await AppendAsync(first, "first of the saga");
        await using var others = await BeginAsync();
        await AppendAsync(others, [.. Enumerable.Range(0, Batch).Select(x => $"another {x}")]);
        await others.CommitAsync();

        // The relay has read that batch and cannot take it out: a row is held. Meanwhile the saga goes on twice.
        await using var hold = await BeginAsync();
        await ExecuteAsync(hold, "select 1 from pipeline.outbox order by id limit 1 for update");
        using var relay = NewRelay(options);
        await relay.StartAsync(CancellationToken.None);
        await Until.TrueAsync("the batch is sent", async () => await channel.MessageCountAsync(Exchange) == Batch);
        await first.CommitAsync();
        await using (var second = await BeginAsync())
        {
            await AppendAsync(second, "second of the saga");
            await second.CommitAsync();
        }

        await hold.CommitAsync();
        await Until.TrueAsync("all is sent", async () => await channel.MessageCountAsync(Exchange) == Batch + 2);
        await relay.StopAsync(CancellationToken.None);

        var bodies = new List<string>();
        while (await channel.BasicGetAsync(Exchange, autoAck: true) is { } message)
            bodies.Add(Encoding.UTF8.GetString(message.Body.Span));
        bodies.Count.ShouldBe(Batch + 2);
        bodies[Batch..].ShouldBe(["first of the saga", "second of the saga"]);
        (await AskAsync("select count(*) from pipeline.outbox")).ShouldBe("0");
    }

    [Fact]
    public async Task What_has_no_queue_is_kept_and_holds_up_nothing()
    {
        var options = Services.GetRequiredService<MessagingOptions>();
        await using var broker = await new ConnectionFactory { Uri = options.Broker }.CreateConnectionAsync();
        await using var channel = await broker.CreateChannelAsync();
        await channel.ExchangeDeclareAsync(Exchange, ExchangeType.Direct);
        await channel.QueueDeclareAsync(Exchange, durable: true, exclusive: false, autoDelete: false);
        await channel.QueueBindAsync(Exchange, Exchange, "there");
        await using (var writer = await BeginAsync())
        {
            // More than a batch of them, before the one that has a queue.
            await AppendAsync(writer, [.. Enumerable.Range(0, Batch + 1).Select(_ => "nowhere")]);
            await AppendAsync(writer, ["there"], routingKey: "there");
            await writer.CommitAsync();
        }

        using var relay = NewRelay(options);
        await relay.StartAsync(CancellationToken.None);
        await Until.TrueAsync("the last is sent", async () => await channel.MessageCountAsync(Exchange) == 1);
        await Until.TrueAsync(
            "and taken out",
            async () => await AskAsync("select count(*) from pipeline.outbox") == $"{Batch + 1}"
        );
        await channel.QueueBindAsync(Exchange, Exchange, "");
        await Until.TrueAsync("the rest follows", async () => await channel.MessageCountAsync(Exchange) == Batch + 2);
        await relay.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Message_behind_a_refused_one_is_sent_again_behind_it()
    {
        // The three have come before the first is answered, so the third is queued although the second is not.
        await using var broker = new ScriptedBroker(x => x == 2 ? Answer.Refuse : Answer.Take, hold: 3);
        await using (var writer = await BeginAsync())
        {
            await AppendAsync(writer, "1", "2", "3");
            await writer.CommitAsync();
        }

        using var relay = NewRelay(new MessagingOptions(broker.Address));
        await relay.StartAsync(CancellationToken.None);
        await Until.TrueAsync(
            "all are relayed",
            async () => await AskAsync("select count(*) from pipeline.outbox") == "0"
        );
        await relay.StopAsync(CancellationToken.None);

        broker.Queue.ShouldBe(["1", "3", "2", "3"]);
    }

    [Fact]
    public async Task Full_queue_is_tried_again_until_it_has_room_and_gets_everything_in_order()
    {
        const int count = 3_000; // Many runs of the relay: the broker takes the whole first one before it refuses.
        var options = Services.GetRequiredService<MessagingOptions>();
        await using var broker = await new ConnectionFactory { Uri = options.Broker }.CreateConnectionAsync();
        await using var channel = await broker.CreateChannelAsync();
        await channel.ExchangeDeclareAsync(Exchange, ExchangeType.Fanout);
        var limits = QueueTopology.Arguments(Exchange);
        limits["x-max-length-bytes"] = 100; // Its limit is soft: the broker lets some more in before it refuses.
        await new DeclaredQueue(Exchange, limits).DeclareAsync(channel, default);
        await channel.QueueBindAsync(Exchange, Exchange, "");
        await using (var writer = await BeginAsync())
        {
            await AppendAsync(writer, [.. Enumerable.Range(0, count).Select(x => $"number {x}")]);
            await writer.CommitAsync();
        }

        using var relay = NewRelay(options);
        await relay.StartAsync(CancellationToken.None);
        var bodies = new List<string>();
        var refused = false;
        await Until.TrueAsync(
            "all has come",
            async () =>
            {
                // Read only when it is full or complete.
                refused |= await AskAsync("select count(*) from pipeline.outbox") != "0";
                while (await channel.BasicGetAsync(Exchange, autoAck: true) is { } message)
                    bodies.Add(Encoding.UTF8.GetString(message.Body.Span));
                return await AskAsync("select count(*) from pipeline.outbox") == "0"
                    && await channel.MessageCountAsync(Exchange) == 0;
            }
        );
        await relay.StopAsync(CancellationToken.None);

        refused.ShouldBeTrue();
        // What was on its way behind a refused message may come before it, where room was made at that moment. All of
        // it is sent again behind that message: in the order in which each came last, nothing is overtaken.
        Enumerable
            .Reverse(bodies)
            .Distinct(StringComparer.Ordinal)
            .Reverse()
            .ShouldBe(Enumerable.Range(0, count).Select(x => $"number {x}"));
    }

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() => [];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        // The rooms alone.
    }

    private OutboxRelay NewRelay(MessagingOptions options) =>
        new(
            Database,
            options,
            Services.GetRequiredService<OutboxMetrics>(),
            TimeProvider.System,
            NullLogger<OutboxRelay>.Instance
        );

    /// <summary>The session goes back to the pool: with its lock, nobody would ever lead again.</summary>
    [Fact]
    public async Task Leader_whose_statement_fails_gives_its_lead_back()
    {
        var options = Services.GetRequiredService<MessagingOptions>();
        await using var hold = await BeginAsync();
        await ExecuteAsync(hold, "lock table pipeline.outbox in access exclusive mode");
        using var relay = NewRelay(options);
        await relay.StartAsync(CancellationToken.None);
        await Until.TrueAsync("it leads, and waits", async () => await AskAsync(LeaderSql) == "1");

        await Until.TrueAsync("its statement is cancelled", async () => await AskAsync(CancelSql) == "True");
        await Until.TrueAsync("nobody leads", async () => await AskAsync(LeaderSql) == "0");

        await hold.CommitAsync();
        await Until.TrueAsync("it leads again", async () => await AskAsync(LeaderSql) == "1");
        await relay.StopAsync(CancellationToken.None);
        await Until.TrueAsync("it has left", async () => await AskAsync(LeaderSql) == "0");
    }

    private async Task<NpgsqlTransaction> BeginAsync()
    {
        var connection = await Database.OpenConnectionAsync();
        _connections.Add(connection);
        await using (var patience = new NpgsqlCommand("set idle_in_transaction_session_timeout = 0", connection))
            await patience.ExecuteNonQueryAsync(); // These wait on purpose.
        return await connection.BeginTransactionAsync();
    }

    private static Task AppendAsync(NpgsqlTransaction transaction, params string[] bodies) =>
        AppendAsync(transaction, bodies, routingKey: "");

    private static Task AppendAsync(NpgsqlTransaction transaction, string[] bodies, string routingKey) =>
        Outbox.AppendAsync(
            transaction.Connection.ShouldNotBeNull(),
            transaction,
            [
                .. bodies.Select(x => new WireMessage(
                    Exchange,
                    routingKey,
                    Guid.NewGuid(),
                    Encoding.UTF8.GetBytes(x),
                    Mandatory: true
                )),
            ],
            CancellationToken.None
        );

    private static async Task ExecuteAsync(NpgsqlTransaction transaction, string sql)
    {
        await using var command = new NpgsqlCommand(sql, transaction.Connection, transaction);
        await command.ExecuteNonQueryAsync();
    }
}
