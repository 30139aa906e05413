using System.Text;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// Rights by exchange are not enough: workers know who sent a message by the login that the broker has checked. The
/// test's own login may write everywhere, as one that got more rights by mistake.
/// </summary>
[Trait(Speed.Name, Speed.Fast)]
public sealed class SenderTests : Stack
{
    private Uri _workers = null!;

    private static string NameOf(Uri login) => login.UserInfo.Split(':')[0];

    protected override async Task<Uri> WorkersLoginAsync() => _workers = await CreateUserAsync("workers");

    [Fact]
    public async Task Internal_message_of_an_unknown_login_has_no_effect_and_its_dead_letter_says_why()
    {
        HostWorker("worker");
        await using var foreign = await RawClient.ConnectAsync(Broker);
        var messages = MessageCatalog.All.Where(x => x.Kind == MessageKind.Internal).ToArray();
        var forms = Enum.GetValues<ForeignForm>();
        foreach (var userId in new[] { null, NameOf(Broker) })
        {
            foreign.UserId = userId;
            foreach (var (contract, i) in messages.Select((x, i) => (x, i)))
                await new ForeignMessage(contract).SendAsync(foreign, forms[i % forms.Length]);
        }

        var count = 2 * messages.Length;
        await UntilAsync("all are dead letters", async () => await this.DeadLetterCountAsync() == count);
        foreach (var table in new[] { "generation_requests", "catalog_rebuilds", "deletions", "dead_letter_actions" })
            (await ScalarAsync<long>($"select count(*) from pipeline.{table}")).ShouldBe(0, table);
        (await ScalarAsync<long>("select count(*) from pipeline.receipts where outcome <> 'rejected'")).ShouldBe(0);
        string[] reasons =
        [
            Reason("record-dead-letter-actions", "workers and publisher", "missing"),
            Reason("record-dead-letter-actions", "workers and publisher", $"'{NameOf(Broker)}'"),
        ];
        (await FaultsAsync("record-dead-letter-actions")).ShouldBe(reasons, ignoreOrder: true);
    }

    [Fact]
    public async Task Event_is_taken_for_webhooks_from_the_workers_login_and_not_from_the_publishers()
    {
        HostWorker("worker", ("Messaging__PublisherLogins", NameOf(Broker)));
        await using var publisher = await RawClient.ConnectAsync(Broker);
        publisher.UserId = NameOf(Broker);
        await using var worker = await RawClient.ConnectAsync(_workers);
        worker.UserId = NameOf(_workers);
        var events = MessageCatalog.All.Where(x => x.Kind == MessageKind.Event).ToArray();
        foreach (var contract in events)
        {
            var forged = new ForeignMessage(contract) { Exchange = "webhook-events" };
            await forged.SendAsync(worker, ForeignForm.PlainJson);
            await forged.SendAsync(publisher, ForeignForm.PlainJson);
        }

        await UntilAsync(
            "those of the publisher are dead letters",
            async () => await MessagesAsync("webhook-events_error") == events.Length
        );
        await UntilAsync("those of the worker are taken", async () => await MessagesAsync("webhook-events") == 0);
        (await FaultsAsync("webhook-events")).ShouldBe(
            events.Select(x => Reason(x.Name, "workers", $"'{NameOf(Broker)}'")),
            ignoreOrder: true
        );
    }

    /// <summary>A replay has the publisher's login. The dead letter itself names nobody (its mover is not its sender).</summary>
    [Fact]
    public async Task Internal_dead_letter_that_the_publisher_replays_takes_effect()
    {
        HostWorker("worker");
        await using var foreign = await RawClient.ConnectAsync(Broker);
        MessageCatalog.TryFind("record-dead-letter-actions", out var contract).ShouldBeTrue();
        await new ForeignMessage(contract!).SendAsync(foreign, ForeignForm.PlainJson);
        await UntilAsync(
            "it is a dead letter",
            async () => await MessagesAsync("record-dead-letter-actions_error") == 1
        );

        var replay = await this.DeskAsync("replay", "--queue", "record-dead-letter-actions", "--reason", "a test");

        replay.ExitCode.ShouldBe(0, replay.Error);
        await UntilAsync(
            "the action of its body is recorded, beside that of its replay",
            async () => await ScalarAsync<long>("select count(*) from pipeline.dead_letter_actions") == 2
        );
        (await this.DeadLetterCountAsync()).ShouldBe(0);
    }

    /// <summary>What all of this rests on.</summary>
    [Fact]
    public async Task Broker_takes_no_false_login()
    {
        await using var foreign = await RawClient.ConnectAsync(await CreateUserAsync("client"));
        foreign.UserId = NameOf(_workers);
        MessageCatalog.TryFind("save-image", out var contract).ShouldBeTrue();
        var refused = await Should.ThrowAsync<AlreadyClosedException>(() =>
            new ForeignMessage(contract!).SendAsync(foreign, ForeignForm.PlainJson)
        );

        refused.ShutdownReason!.ReplyCode.ShouldBe((ushort)Constants.PreconditionFailed);
    }

    private static string Reason(string name, string whose, string userId) =>
        $"'{name}' is taken from {whose} only, and its user_id is {userId} "
        + "(Messaging__WorkerLogins, Messaging__PublisherLogins).";

    /// <summary>What the dead letters of a queue say.</summary>
    private async Task<List<string>> FaultsAsync(string queue)
    {
        await using var connection = await new ConnectionFactory { Uri = Broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        var faults = new List<string>();
        while (await channel.BasicGetAsync(WireNames.ErrorQueue(queue), autoAck: true) is { } dead)
        {
            dead.BasicProperties.IsUserIdPresent().ShouldBeFalse();
            faults.Add(Encoding.UTF8.GetString((byte[])dead.BasicProperties.Headers!["MT-Fault-Message"]!));
        }

        return faults;
    }
}
