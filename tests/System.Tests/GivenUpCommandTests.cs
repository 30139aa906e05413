using System.Text;
using System.Text.Json;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Commands that the broker itself makes dead letters of: no worker sees them, and they have an end all the same.</summary>
[Trait(Speed.Name, Speed.Fast)]
public sealed class GivenUpCommandTests : Stack
{
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);

    private static readonly MessageContract[] Commands = [.. MessageCatalog.Public.Where(x => x.IsCommand)];

    [Fact]
    public async Task Every_command_that_expires_has_failed()
    {
        await using var client = await RawClient.ConnectAsync(Broker);
        var told = await client.ListenAsync("command-failed");
        var forms = Enum.GetValues<ForeignForm>();
        var sent = new Dictionary<Guid, string>();
        foreach (var (contract, i) in Commands.Select((x, i) => (x, i)))
        {
            var command = new ForeignMessage(contract) { ExpiresIn = Moment };
            await command.SendAsync(client, forms[i % forms.Length]);
            sent.Add(command.CommandId, $"failed {contract.Name} {command.ProjectId}");
        }

        await UntilAsync("they are dead letters", async () => await this.DeadLetterCountAsync() == sent.Count);
        HostWorker("worker");
        await UntilReceiptsAsync(sent.Count);

        var receipts = await RowsAsync(
            "select command_id, outcome, command, reason from status.receipts",
            x => (Id: x.GetGuid(0), Text: $"{x.GetString(1)} {x.GetString(2)}", Reason: x.GetString(3))
        );
        receipts.ShouldAllBe(x => sent[x.Id].StartsWith(x.Text, StringComparison.Ordinal));
        receipts.ShouldAllBe(x => x.Reason.Contains("expired", StringComparison.Ordinal));
        await UntilAsync("the outbox is empty", async () => await this.PendingAsync() == 0);
        var heard = new List<Guid>();
        while (await client.GetAsync(told) is { } message)
            heard.Add(JsonElement.Parse(message.Body.Span).GetProperty("commandId").GetGuid());
        heard.ShouldBe(sent.Keys, ignoreOrder: true);
    }

    [Fact]
    public async Task Command_that_expires_under_the_id_of_another_is_answered_like_any_that_comes_under_a_used_id()
    {
        await using var client = await RawClient.ConnectAsync(Broker);
        var answers = await client.ListenAsync("command-rejected");
        var first = Harness.Commands.Save(Guid.NewGuid(), 1, slot: 0);
        foreach (var save in new[] { first, first with { Slot = 1 } })
        {
            var message = save.ToWire();
            await client.PublishAsync(
                message.Exchange,
                message.RoutingKey,
                Encoding.UTF8.GetString(message.Body.Span),
                $"{message.MessageId}",
                type: null,
                expiresIn: Moment
            );
        }

        await UntilAsync("they are dead letters", async () => await this.LaneLettersAsync() == 2);
        HostWorker("worker");

        await UntilAsync("the second one is answered", async () => await MessagesAsync(answers) == 1);
        var answer = JsonElement.Parse((await client.GetAsync(answers))!.Body.Span);
        answer.GetProperty("commandId").GetGuid().ShouldBe(first.CommandId);
        answer.GetProperty("reason").GetString().ShouldNotBeNull().ShouldContain("was used before");
        (await ScalarAsync<long>("select count(*) from pipeline.receipt_conflicts")).ShouldBe(1);
        (await ScalarAsync<string>("select string_agg(outcome, ' ') from status.receipts")).ShouldBe("failed");
    }

    /// <summary>It keeps its place in the project's order, so that a person's replay does no harm.</summary>
    [Theory]
    [InlineData(true, "superseded")]
    [InlineData(false, "target-missing")] // It is taken; there are no bytes here.
    public async Task Replay_of_an_expired_save_is_superseded_where_the_slot_has_a_newer_image(
        bool newer,
        string outcome
    )
    {
        var project = Guid.NewGuid();
        await using var publisher = NewPublisher();
        await using var client = await RawClient.ConnectAsync(Broker);
        var first = StartWorker("first");
        await publisher.PublishAsync(Harness.Commands.Storyboard(project, 1).ToWire(), default);
        await publisher.PublishAsync(Harness.Commands.Save(project, 1, 0).ToWire(), default);
        await UntilReceiptsAsync(2);
        // As if that had been long ago.
        await this.ExecuteAsync(
            """
            update pipeline.receipts set at = at - interval '1 hour';
            update pipeline.images set updated_at = updated_at - interval '1 hour'
            """
        );

        await first.StopAsync(); // A worker would be faster than the clock.
        var expired = Harness.Commands.Save(project, 1, 0);
        var message = expired.ToWire();
        await client.PublishAsync(
            message.Exchange,
            message.RoutingKey,
            Encoding.UTF8.GetString(message.Body.Span),
            $"{message.MessageId}",
            type: null,
            expiresIn: Moment
        );
        await UntilAsync("it is a dead letter", async () => await this.LaneLettersAsync() == 1);
        if (newer)
            await publisher.PublishAsync(Harness.Commands.Save(project, 1, 0).ToWire(), default);
        HostWorker("second");
        await UntilReceiptsAsync(newer ? 4 : 3);
        (await OutcomeAsync(expired)).ShouldBe("failed");
        await ForeseenAsync(newer ? 1 : 0);

        // Without a receipt it is older than everything: the image of an hour ago as well.
        await this.ExecuteAsync(Renamed(expired, "away"));
        await ForeseenAsync(1);
        await this.ExecuteAsync(Renamed(expired, "back"));

        (await this.DeskAsync("replay", "--all")).ExitCode.ShouldBe(0);
        await UntilAsync("it is decided anew", async () => await OutcomeAsync(expired) != "failed");
        (await OutcomeAsync(expired)).ShouldBe(outcome);
    }

    private async Task ForeseenAsync(int superseded)
    {
        var plan = await this.DeskAsync("replay", "--all", "--dry-run");
        plan.Objects()[0].GetProperty("superseded").GetInt32().ShouldBe(superseded, plan.Error);
    }

    private static string Renamed(SaveImage command, string which)
    {
        var (id, other) = (command.CommandId, NameBasedGuid.Create(command.CommandId, "away"));
        var (from, to) = which == "away" ? (id, other) : (other, id);
        return $"update pipeline.receipts set command_id = '{to}' where command_id = '{from}'";
    }

    private Task<string> OutcomeAsync(SaveImage command) =>
        ScalarAsync<string>("select outcome from status.receipts where command_id = $1", command.CommandId);
}
