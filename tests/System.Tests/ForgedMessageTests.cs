using System.Text;
using Pipeline.Contracts.Generation;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// A foreign service's rights are by exchange. What it says of its messages besides, in any form, gives it no others.
/// </summary>
[Trait(Speed.Name, Speed.Fast)]
public sealed class ForgedMessageTests : Stack
{
    [Fact]
    public async Task Message_that_is_not_for_everybody_is_refused_in_whatever_public_exchange_and_form_it_comes()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(await CreateUserAsync("client"));
        var exchanges = PublicCommands.Names;
        var forged = MessageCatalog
            .All.Where(x => x.Kind != MessageKind.Event && !exchanges.Contains(x.Name, StringComparer.Ordinal))
            .SelectMany(x => exchanges.Select(y => (Contract: x, Exchange: y)))
            .ToArray();
        forged.Length.ShouldBeGreaterThan(300);
        forged.ShouldContain(x => x.Contract.Name == "render-succeeded" && x.Exchange == "cancel-generation");
        forged.ShouldContain(x => x.Contract.Name == "retract-object" && x.Exchange == "save-image");
        var forms = Enum.GetValues<ForeignForm>();
        foreach (var ((contract, exchange), i) in forged.Select((x, i) => (x, i)))
        {
            var message = new ForeignMessage(contract) { Exchange = exchange };
            await message.SendAsync(client, forms[i % forms.Length]);
        }

        await UntilAsync("all are dead letters", async () => await this.DeadLetterCountAsync() == forged.Length);
        (await ScalarAsync<long>("select count(*) from status.receipts where outcome <> 'rejected'")).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from status.images")).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from status.generations")).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from status.webhook_subscriptions")).ShouldBe(0);
    }

    /// <summary>A client may bind an exchange of its own to those that it may write to: what comes through it is nobody's.</summary>
    [Fact]
    public async Task Nothing_takes_effect_that_comes_through_an_exchange_of_the_clients_own()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(await CreateUserAsync("client"));
        var exchanges = PublicCommands.Names;
        foreach (var exchange in exchanges)
            await client.BindExchangeAsync($"client-{exchange}", exchange);
        var forged = MessageCatalog
            .All.Where(x => x.Kind != MessageKind.Event)
            .SelectMany(x => exchanges.Select(y => (Contract: x, Exchange: $"client-{y}")))
            .ToArray();
        forged.ShouldContain(x => x.Contract.Name == "retract-object" && x.Exchange == "client-define-scenes");
        forged.ShouldContain(x => x.Contract.Name == "deletion-due" && x.Exchange == "client-retry-deletion");
        forged.ShouldContain(x => x.Contract.Name == "delete-project" && x.Exchange == "client-save-image");
        var forms = Enum.GetValues<ForeignForm>();
        foreach (var ((contract, exchange), i) in forged.Select((x, i) => (x, i)))
            await new ForeignMessage(contract) { Exchange = exchange }.SendAsync(client, forms[i % forms.Length]);

        await UntilAsync("all are dead letters", async () => await this.DeadLetterCountAsync() == forged.Length);
        (await ScalarAsync<long>("select count(*) from status.receipts where outcome <> 'rejected'")).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from status.projects")).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from status.generations")).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from status.webhook_subscriptions")).ShouldBe(0);
    }

    [Fact]
    public async Task Command_of_another_name_than_its_exchange_is_rejected_with_both_names()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(await CreateUserAsync("client"));
        MessageCatalog.TryFind("delete-project", out var contract).ShouldBeTrue();
        var delete = new ForeignMessage(contract!) { Exchange = "save-image" };
        await client.PublishAsync(
            "save-image",
            delete.ProjectId.ToString(),
            delete.Body.ToJsonString(),
            delete.CommandId.ToString(),
            "delete-project"
        );

        await UntilReceiptsAsync(1);
        (
            await ScalarAsync<string>(
                "select concat_ws(' ', outcome, command, reason) from status.receipts where command_id = $1",
                delete.CommandId
            )
        ).ShouldBe(
            "rejected delete-project The message cannot be read: 'delete-project' came through the exchange "
                + "'save-image': it must be published to its own."
        );
        // A receipt is there before its dead letter.
        await UntilAsync("the dead letter", async () => await this.DeadLetterCountAsync() == 1);
    }

    [Fact]
    public async Task Worker_writes_to_no_address_that_a_message_names()
    {
        await this.ExecuteAsync(Causes.BreakSql);
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(await CreateUserAsync("client"));
        var before = await NamesAsync("exchanges");
        var address = new UriBuilder(Broker)
        {
            Scheme = "rabbitmq",
            UserName = "",
            Password = "",
        };
        address.Path += "/answers-to-the-client";
        string[] names = ["MT-Fault-Address", "MT-Response-Address"];
        foreach (var name in names)
        {
            var save = Commands.Save(Guid.NewGuid(), scene: 1, slot: 1);
            await client.PublishAsync(
                "save-image",
                save.ProjectId.ToString(),
                Encoding.UTF8.GetString(save.ToWire().Body.Span),
                save.CommandId.ToString(),
                "save-image",
                headers: new Dictionary<string, object?>(StringComparer.Ordinal) { [name] = address.ToString() }
            );
        }

        await UntilAsync("they have failed", async () => await this.DeadLetterCountAsync() == names.Length);
        (await NamesAsync("exchanges")).Except(before, StringComparer.Ordinal).ShouldBeEmpty();
    }

    /// <summary>
    /// The id was once the key of the lock that the outbox's leader holds for as long as it leads. Eight such messages
    /// waited for ever, and with them all generation.
    /// </summary>
    [Fact]
    public async Task No_id_of_a_message_is_the_key_of_a_lock_that_the_workers_hold()
    {
        const int Enough = 8; // Consumers of the queue.
        var generation = Guid.Parse("00000000-0000-4000-786f-6274756f0000");
        HostWorker("worker");
        await UntilAsync("the outbox has its leader", async () => await LocksAsync() > 0);
        await using var publisher = NewPublisher();
        for (var i = 0; i < Enough; i++)
        {
            await publisher.PublishAsync(
                NewMessage(id => new CancelGeneration(id, Guid.NewGuid(), generation, null)),
                default
            );
            await publisher.PublishAsync(
                NewMessage(id => new RetryGeneration(id, Guid.NewGuid(), generation, null)),
                default
            );
        }

        await publisher.PublishAsync(Commands.Generate("offline-painter", "A kite.").ToWire(), default);
        await UntilReceiptsAsync((2 * Enough) + 1);
    }

    private static WireMessage NewMessage<T>(Func<Guid, T> command)
        where T : class
    {
        var id = Guid.NewGuid();
        return WireMessage.Command(command(id), id, Guid.Empty);
    }

    private Task<long> LocksAsync() =>
        ScalarAsync<long>(
            """
            select count(*) from pg_locks where locktype = 'advisory'
                and database = (select oid from pg_database where datname = current_database())
            """
        );
}
