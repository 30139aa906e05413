using System.Text.Json.Nodes;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>A clear answer to each mistake of a service in any language.</summary>
public sealed class ForeignMistakeTests : Stack
{
    private static readonly MessageContract[] Commands = [.. MessageCatalog.Public.Where(x => x.IsCommand)];

    [Fact]
    public async Task Every_missing_property_is_a_rejected_receipt_that_names_it_and_a_dead_letter_to_be_read()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var told = await client.ListenAsync("command-rejected");
        var wanted = new Dictionary<Guid, string>();
        foreach (var contract in Commands)
        foreach (var property in contract.Required.Where(x => x != "commandId"))
        {
            var command = new ForeignMessage(contract);
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
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var save = new ForeignMessage(MessageCatalog.Of<SaveImage>());
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
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var save = new ForeignMessage(MessageCatalog.Of<SaveImage>());
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
    public async Task What_cannot_be_read_is_rejected_under_its_own_id()
    {
        const string Event = CloudEvents.StructuredContentType;
        (string ContentType, string Body, string Reason)[] cases =
        [
            (
                Event,
                """{"specversion":"1.0","source":"/t","type":"save-image","id":"ID"}""",
                "data: must be a JSON object."
            ),
            (
                Event,
                """{"specversion":"1.0","source":"/t","type":"paint","id":"ID","data":{}}""",
                "type: 'paint' is no message of this pipeline."
            ),
            (
                "application/vnd.masstransit+json",
                """{"messageType":["urn:message:Pipeline.Contracts.Saving:SaveImage"],"messageId":"ID"}""",
                "message: must be a JSON object."
            ),
            (WireJson.ContentType, """{"commandId":"ID","projectId":"\ud800"}""", "must be valid Unicode text."),
            (WireJson.ContentType, """{"commandId":"ID","\ud800":1}""", "must be valid Unicode text."),
        ];
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var wanted = new Dictionary<Guid, string>();
        foreach (var (contentType, body, reason) in cases)
        {
            var id = Guid.NewGuid();
            wanted.Add(id, reason);
            var text = body.Replace("ID", id.ToString(), StringComparison.Ordinal);
            // A name that is no text hides the others, and then the message's id is all there is.
            var messageId = contentType == WireJson.ContentType ? id.ToString() : null;
            await client.PublishAsync("save-image", $"{Guid.NewGuid()}", text, messageId, type: null, contentType);
        }

        await UntilReceiptsAsync(cases.Length);
        foreach (var (id, reason) in wanted)
            (await ReasonAsync(id)).ShouldContain(reason);
        await UntilAsync("the dead letters", async () => await this.DeadLetterCountAsync() == cases.Length);
    }

    private Task<string> ReasonAsync(Guid commandId) =>
        ScalarAsync<string>(
            "select reason from status.receipts where command_id = $1 and outcome = 'rejected'",
            commandId
        );
}
