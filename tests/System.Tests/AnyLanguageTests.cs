using System.Text.Json.Nodes;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Services in any language: each command in each form, and a clear answer to each mistake.</summary>
public sealed class AnyLanguageTests : Stack
{
    private static readonly MessageContract[] Commands = [.. MessageCatalog.Public.Where(x => x.IsCommand)];

    [Fact]
    public async Task Every_command_is_the_same_command_in_every_form_and_unknown_properties_do_no_harm()
    {
        StartWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var sent = 0;
        foreach (var contract in Commands)
        foreach (var form in Enum.GetValues<ForeignForm>())
        {
            var command = new ForeignCommand(contract);
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
    public async Task Every_missing_property_is_a_rejected_receipt_that_names_it_and_a_dead_letter_to_be_read()
    {
        StartWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var told = await client.ListenAsync("command-rejected");
        var wanted = new Dictionary<Guid, string>();
        foreach (var contract in Commands)
        foreach (var property in contract.Required.Where(x => x != "commandId"))
        {
            var command = new ForeignCommand(contract);
            command.Body.Remove(property).ShouldBeTrue($"{contract.Name}.{property}");
            await command.SendAsync(client, (ForeignForm)(wanted.Count % Enum.GetValues<ForeignForm>().Length));
            wanted.Add(command.CommandId, $"rejected {contract.Name} {property}: is required.");
        }

        wanted.Count.ShouldBeGreaterThanOrEqualTo(20);
        await UntilReceiptsAsync(wanted.Count);
        var receipts = await RowsAsync(
            "select command_id, concat_ws(' ', outcome, command, reason) from status.receipts",
            x => (Id: x.GetGuid(0), Text: x.GetString(1))
        );
        receipts.ToDictionary(x => x.Id, x => x.Text).ShouldBe(wanted, ignoreOrder: true);
        await UntilAsync("the dead letters", async () => await this.DeadLetterCountAsync() == wanted.Count);
        await UntilAsync("the events", async () => await MessagesAsync(told) == wanted.Count);
    }

    [Fact]
    public async Task All_mistakes_of_a_body_are_told_at_once_up_to_a_bound()
    {
        StartWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var save = new ForeignCommand(MessageCatalog.Of<SaveImage>());
        foreach (
            var (property, mistake) in new (string, JsonNode)[] { ("slot", "first"), ("width", 0), ("sceneId", 7) }
        )
            save.Body[property] = mistake;
        save.Body.Remove("height");
        await save.SendAsync(client, ForeignForm.PlainJson);
        var empty = Guid.NewGuid();
        await client.PublishAsync("save-image", save.ProjectId.ToString(), "{}", empty.ToString(), "save-image");

        await UntilReceiptsAsync(2);
        (await ReasonAsync(save.CommandId)).ShouldBe(
            "sceneId: must be a string. slot: must be a whole number of 32 bits, without fraction or exponent. "
                + "width: must be 1 to 50000000. height: is required."
        );
        // Its id is the message's; the rest is missing.
        (await ReasonAsync(empty))
            .Split(". ")
            .Length.ShouldBe(8);
    }

    [Theory]
    [InlineData("specversion", "0.3", "specversion: must be 1.0.")]
    [InlineData("source", null, "source: is required of a CloudEvent.")]
    public async Task CloudEvent_that_is_none_is_rejected_with_what_it_lacks(
        string attribute,
        string? value,
        string reason
    )
    {
        StartWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var save = new ForeignCommand(MessageCatalog.Of<SaveImage>());
        var headers = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["cloudEvents_specversion"] = "1.0",
            ["cloudEvents_id"] = save.CommandId.ToString(),
            ["cloudEvents_source"] = "/tests",
            ["cloudEvents_type"] = "save-image",
        };
        headers.Remove($"cloudEvents_{attribute}");
        if (value is not null)
            headers[$"cloudEvents_{attribute}"] = value;
        save.Body.Remove("commandId");
        await client.PublishAsync(
            "save-image",
            save.ProjectId.ToString(),
            save.Body.ToJsonString(),
            messageId: null,
            type: null,
            headers: headers
        );

        await UntilReceiptsAsync(1);
        (await ReasonAsync(save.CommandId)).ShouldBe(reason);
    }

    [Fact]
    public async Task Id_of_the_message_or_of_the_event_is_the_commands_where_the_body_has_none()
    {
        StartWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var ids = new List<Guid>();
        foreach (var form in Enum.GetValues<ForeignForm>().Where(x => x != ForeignForm.PlainJson))
        foreach (var name in new[] { "save-image", "cancel-generation" })
        {
            MessageCatalog.TryFind(name, out var contract).ShouldBeTrue();
            var command = new ForeignCommand(contract!);
            command.Body.Remove("commandId");
            await command.SendAsync(client, form);
            ids.Add(command.CommandId);
        }

        await UntilReceiptsAsync(ids.Count);
        var receipts = await RowsAsync("select command_id from status.receipts", x => x.GetGuid(0));
        receipts.ShouldBe(ids, ignoreOrder: true);
        (await this.DeadLetterCountAsync()).ShouldBe(0);
    }

    private Task<string> ReasonAsync(Guid commandId) =>
        ScalarAsync<string>(
            "select reason from status.receipts where command_id = $1 and outcome = 'rejected'",
            commandId
        );
}
