using System.Text.Json.Nodes;
using Pipeline.Contracts.Saving;
using Pipeline.Contracts.Webhooks;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Services in any language: each command and each event in each form.</summary>
[Trait(Speed.Name, Speed.Fast)]
public sealed class AnyLanguageTests : Stack
{
    private static readonly MessageContract[] Commands = [.. MessageCatalog.Public.Where(x => x.IsCommand)];

    [Fact]
    public async Task Every_command_is_the_same_command_in_every_form_and_unknown_properties_do_no_harm()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var sent = 0;
        foreach (var contract in Commands)
        foreach (var form in Enum.GetValues<ForeignForm>())
        {
            var command = new ForeignMessage(contract);
            command.Body["colour"] = new JsonObject { ["of"] = new JsonArray("any", 7) };
            command.Body["Slot"] = "not ours: names are case-sensitive";
            await command.SendAsync(client, form);
            // Read as another content, this one would be a conflict.
            await command.SendAsync(client, ForeignForm.PlainJson);
            sent++;
        }

        sent.ShouldBeGreaterThanOrEqualTo(36);
        await UntilReceiptsAsync(sent);
        await UntilAsync("both of each are done", async () => await this.PendingAsync() == 0);
        (await ScalarAsync<long>("select count(*) from status.receipt_conflicts")).ShouldBe(0);
        (await this.DeadLetterCountAsync()).ShouldBe(0);
        var unread = await RowsAsync(
            "select command || ': ' || reason from status.receipts where reason like '%is required%' or reason like '%be read%'",
            x => x.GetString(0)
        );
        unread.ShouldBeEmpty();
    }

    [Fact]
    public async Task Every_event_is_the_same_event_in_every_form()
    {
        HostWorker("worker");
        await using var publisher = NewPublisher();
        // Its deliveries show how the workers read an event. Nothing is sent: the address is in this network.
        var subscribe = new SubscribeWebhook(
            Guid.NewGuid(),
            Guid.NewGuid(),
            "http://127.0.0.1:1/",
            Events: null,
            ProjectId: null,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        );
        await publisher.PublishAsync(
            WireMessage.Command(subscribe, subscribe.CommandId, Guid.Empty),
            CancellationToken.None
        );
        await UntilReceiptsAsync(1);
        await using var client = await RawClient.ConnectAsync(Broker, saysWhoItIs: true); // Workers alone.
        var sent = new Dictionary<Guid, ForeignMessage>();
        foreach (var contract in MessageCatalog.Public.Where(x => x.Kind == MessageKind.Event))
        foreach (var form in Enum.GetValues<ForeignForm>())
        {
            var told = new ForeignMessage(contract);
            told.Body["colour"] = "nobody knows it";
            await told.SendAsync(client, form);
            sent.Add(told.MessageId, told);
        }

        sent.Count.ShouldBeGreaterThan(150);
        await UntilAsync(
            "all are stored",
            async () => await ScalarAsync<long>("select count(*) from status.webhook_deliveries") == sent.Count
        );
        var stored = await RowsAsync(
            "select message_id, body from status.webhook_deliveries",
            x => (Id: x.GetGuid(0), Data: JsonNode.Parse(x.GetString(1))!["data"]!)
        );
        foreach (var (id, data) in stored)
        {
            sent[id].Body.Remove("colour");
            sent[id].Differences(data).ShouldBeEmpty();
            data["colour"].ShouldBeNull();
        }

        (await this.DeadLetterCountAsync()).ShouldBe(0);
    }

    [Fact]
    public async Task Id_of_the_message_or_of_the_event_is_the_commands_where_the_body_has_none()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var ids = new List<Guid>();
        foreach (var form in Enum.GetValues<ForeignForm>().Where(x => x > ForeignForm.PlainJsonOfMassTransit))
        foreach (var name in new[] { "save-image", "cancel-generation" })
        {
            MessageCatalog.TryFind(name, out var contract).ShouldBeTrue();
            var command = new ForeignMessage(contract!);
            command.Body.Remove("commandId");
            await command.SendAsync(client, form);
            ids.Add(command.CommandId);
        }

        await UntilReceiptsAsync(ids.Count);
        var receipts = await RowsAsync("select command_id from status.receipts", x => x.GetGuid(0));
        receipts.ShouldBe(ids, ignoreOrder: true);
        (await this.DeadLetterCountAsync()).ShouldBe(0);
    }
}
