using System.Text.Json;
using Npgsql;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Reconciling;
using Pipeline.Contracts.Saving;
using Pipeline.Contracts.Webhooks;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// kill -9 at the boundaries of a command's transaction, for one command of each kind that carries commands: a lane, a
/// consumer that does all in its transaction, one that does slow work first, and a saga. It is held just before its
/// commit; or it is committed, and neither sent nor acknowledged.
/// </summary>
public sealed class CommandBoundaryTests : Stack
{
    private const int Lock = 4713;

    private const string HoldSql = """
        create function public.hold_receipt() returns trigger language plpgsql as $$
        begin
            perform pg_advisory_xact_lock_shared(4713);
            return null;
        end $$;
        create trigger hold_receipt after insert on pipeline.receipts
            for each statement execute function public.hold_receipt();
        """;

    private const string WaitingSql = """
        select count(*) from pg_locks
        where locktype = 'advisory' and not granted and objid = $1::oid
            and database = (select oid from pg_database where datname = current_database())
        """;

    // The type of each kind's command, and how it ends.
    private static readonly Dictionary<Type, string> Kinds = new()
    {
        [typeof(SaveImage)] = "target-missing",
        [typeof(SubscribeWebhook)] = "applied",
        [typeof(RecordObject)] = "target-missing",
        [typeof(RetryDeletion)] = "rejected",
    };

    // A subscription is nobody's news but its own receiver's.
    private static readonly string[] Announced = ["save-image", "record-object", "retry-deletion"];

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [("Lanes__LeaseLength", "00:00:03"), ("Webhooks__AllowPrivateNetworks", "true")];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Worker_killed_at_a_boundary_leaves_one_receipt_one_effect_and_one_announcement(bool isCommitted)
    {
        await this.ExecuteAsync(HoldSql);
        await using var client = await RawClient.ConnectAsync(Broker);
        var heard = await ListenAsync(client);
        await using var network = new StallingProxy(Broker);
        await using var holder = await Database.OpenConnectionAsync();
        await HolderAsync(holder, "select pg_advisory_lock($1)");
        var victim = StartWorker(
            "victim",
            ("ConnectionStrings__RabbitMq", network.Address.ToString()),
            ("ConnectionStrings__Postgres", $"{Settings["ConnectionStrings__Postgres"]};Command Timeout=300")
        );
        var sent = new Dictionary<Guid, string>();
        foreach (var (type, outcome) in Kinds)
        {
            var command = new ForeignMessage(MessageCatalog.All.Single(x => x.Type == type));
            await command.SendAsync(client, ForeignForm.PlainJson);
            sent.Add(command.CommandId, $"{WireNames.ExchangeOf(type)} {outcome}");
        }

        await UntilAsync("all are held", async () => await ScalarAsync<long>(WaitingSql, Lock) == Kinds.Count);
        if (isCommitted)
        {
            network.Stall(); // What the worker says from here on does not reach the broker.
            await HolderAsync(holder, "select pg_advisory_unlock($1)");
            await UntilReceiptsAsync(Kinds.Count);
        }

        await victim.KillAsync();
        network.Cut();
        if (!isCommitted)
            await HolderAsync(holder, "select pg_advisory_unlock($1)");
        var successor = StartWorker("successor");
        await UntilReceiptsAsync(Kinds.Count);
        await UntilAsync("nothing is on its way", async () => await this.PendingAsync() == 0, Limit);
        await UntilAsync("all are heard of", async () => await HearAsync(client, heard) >= Announced.Length, Limit);
        await successor.StopAsync(); // It ends what it has at hand.
        await HearAsync(client, heard);

        (
            await RowsAsync(
                "select command_id, concat_ws(' ', command, outcome) from status.receipts",
                x => KeyValuePair.Create(x.GetGuid(0), x.GetString(1))
            )
        ).ShouldBe(sent, ignoreOrder: true);
        (await ScalarAsync<long>("select count(*) from status.images")).ShouldBe(1);
        (await ScalarAsync<long>("select count(*) from status.webhook_subscriptions")).ShouldBe(1);
        (await ScalarAsync<long>("select max(version) from status.projects")).ShouldBe(1);
        heard.Announced.Keys.Select(x => sent[x].Split(' ')[0]).ShouldBe(Announced, ignoreOrder: true);
        heard.Announced.Values.ShouldAllBe(x => x.Count == 1);
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    private static async Task<Heard> ListenAsync(RawClient client)
    {
        var events = MessageCatalog.All.Where(x => x.Kind == MessageKind.Event).Select(x => x.Name).ToArray();
        var queue = await client.ListenAsync(events[0]);
        foreach (var exchange in events[1..])
            await client.BindAsync(queue, exchange);
        return new Heard(queue, []);
    }

    /// <summary>A message may come twice, under the same id.</summary>
    /// <returns>How many commands have been heard of.</returns>
    private static async Task<int> HearAsync(RawClient client, Heard heard)
    {
        while (await client.GetAsync(heard.Queue) is { } message)
        {
            var body = JsonElement.Parse(message.Body.Span);
            var command = body.GetProperty("commandId").GetGuid();
            if (!heard.Announced.TryGetValue(command, out var ids))
                heard.Announced[command] = ids = [];
            ids.Add($"{message.Exchange} {message.BasicProperties.MessageId} {body.GetRawText()}");
        }

        return heard.Announced.Count;
    }

    private static async Task HolderAsync(NpgsqlConnection holder, string sql)
    {
        await using var command = new NpgsqlCommand(sql, holder);
        command.Parameters.AddWithValue((long)Lock);
        await command.ExecuteNonQueryAsync();
    }

    /// <param name="Queue">Where all events come.</param>
    /// <param name="Announced">Event, message id and body by command.</param>
    private sealed record Heard(string Queue, Dictionary<Guid, HashSet<string>> Announced);
}
