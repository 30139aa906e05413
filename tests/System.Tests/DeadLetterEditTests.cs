using Pipeline.Contracts.DeadLetters;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Dead letters that a person corrects: each becomes one new command.</summary>
public sealed class DeadLetterEditTests : Stack
{
    [Fact]
    public async Task Edited_command_is_another_one_that_names_the_first_and_is_sent_once()
    {
        await this.ExecuteAsync(Causes.BreakSql);
        HostWorker("worker");
        await using var publisher = NewPublisher();
        await using var listener = await RawClient.ConnectAsync(Broker);
        var edited = await listener.ListenAsync("dead-letter-edited");
        var project = Guid.NewGuid();
        var save = Commands.Save(project, scene: 1, slot: 1);
        await publisher.PublishAsync(save.ToWire(), CancellationToken.None);
        await UntilAsync("it is a dead letter", async () => await this.LaneLettersAsync() == 1);
        var id = save.CommandId.ToString();

        var broken = await this.DeskAsync("edit", id, "--set", "slot=-1");
        broken.ExitCode.ShouldBe(2);
        broken.Error.ShouldContain("slot");
        (await this.LaneLettersAsync()).ShouldBe(1);

        var run = await this.DeskAsync("edit", id, "--set", "slot=3", "--as", "jane", "--reason", "slot 1 is full");
        run.ExitCode.ShouldBe(0, run.Error);
        var successor = run.Objects().Single().GetProperty("successor").GetGuid();
        (await this.LaneLettersAsync()).ShouldBe(0);
        await UntilAsync(
            "the successor is saved",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.images where project_id = $1 and slot = 3",
                    project
                ) == 1
        );

        foreach (var slot in new[] { "slot=3", "slot=4" })
        {
            var again = await this.DeskAsync("edit", id, "--set", slot);
            again.ExitCode.ShouldBe(1);
            again.Error.ShouldContain($"sent as {successor}");
        }

        await UntilAsync("it is announced", async () => await MessagesAsync(edited) == 1);
        var audit = (await this.DeskAsync("audit", id)).Objects().Single();
        audit.GetProperty("successorId").GetGuid().ShouldBe(successor);
        audit.GetProperty("doneBy").GetString().ShouldBe("jane");
        audit.GetProperty("outcome").GetString().ShouldBe("target-missing");
        (
            await ScalarAsync<string>("select outcome from pipeline.receipts where command_id = $1", save.CommandId)
        ).ShouldBe("failed");
    }

    [Fact]
    public async Task Command_of_any_form_that_breaks_its_schema_is_shown_and_mended_under_its_own_id()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(await CreateUserAsync("client"));
        var broken = new Dictionary<ForeignForm, ForeignMessage>();
        foreach (var form in Enum.GetValues<ForeignForm>())
        {
            var save = new ForeignMessage(MessageCatalog.Of<SaveImage>());
            save.Body["slot"] = 7;
            save.Body.Remove("height");
            await save.SendAsync(client, form); // Most of them without the properties type and message_id.
            broken.Add(form, save);
        }

        await UntilAsync("all are dead letters", async () => await this.LaneLettersAsync() == broken.Count);
        (await this.DeskAsync("list", "--messages"))
            .Objects()
            .Select(x => $"{x.GetProperty("type")} {x.GetProperty("messageId")} {x.GetProperty("projectId")}")
            .ShouldBe(broken.Values.Select(x => $"save-image {x.CommandId} {x.ProjectId}"), ignoreOrder: true);
        var first = (await this.DeskAsync("show", $"{broken.Values.First().CommandId}")).Objects().Single();
        first.GetProperty("receipt").GetProperty("reason").GetString().ShouldBe("height: is required.");
        foreach (var (form, save) in broken)
        {
            var run = await this.DeskAsync("edit", $"{save.CommandId}", "--set", "height=64");
            run.ExitCode.ShouldBe(0, $"{form}: {run.Error}");
        }

        await UntilAsync(
            "all are saved",
            async () => await ScalarAsync<long>("select count(*) from status.images where slot = 7") == broken.Count
        );
        (await this.LaneLettersAsync()).ShouldBe(0);
    }

    [Fact]
    public async Task Edit_that_was_killed_is_finished_by_the_same_edit_and_by_no_other()
    {
        await this.ExecuteAsync(Causes.BreakSql);
        var worker = StartWorker("worker");
        await using var publisher = NewPublisher();
        var save = Commands.Save(Guid.NewGuid(), scene: 1, slot: 1);
        await publisher.PublishAsync(save.ToWire(), CancellationToken.None);
        await UntilAsync("it is a dead letter", async () => await this.LaneLettersAsync() == 1);
        await worker.KillAsync();
        var id = save.CommandId.ToString();
        await using (var killed = VerbProcess.Start(this, "dead-letters", "edit", id, "--set", "slot=3"))
        {
            // Nobody writes its record down, so it waits and has sent nothing yet.
            await UntilAsync("it has begun", async () => await MessagesAsync("record-dead-letter-actions") == 1);
            await killed.KillAsync();
        }

        // The broker gives back what the killed one had in its hands when it has seen that the connection is gone.
        await UntilAsync("the letter is where it was", async () => await this.LaneLettersAsync() == 1);
        HostWorker("another");
        await UntilAsync(
            "it is written down",
            async () => await ScalarAsync<long>("select count(*) from status.dead_letter_actions") == 1
        );

        var other = await this.DeskAsync("edit", id, "--set", "slot=4");
        other.ExitCode.ShouldBe(1);
        other.Error.ShouldContain("was edited by");
        (await this.DeskAsync("edit", id, "--set", "slot=3")).ExitCode.ShouldBe(0);
        (await this.LaneLettersAsync()).ShouldBe(0);
        await UntilAsync(
            "it is saved",
            async () => await ScalarAsync<long>("select count(*) from status.images where slot = 3") == 1
        );
        (await ScalarAsync<long>("select count(*) from status.images")).ShouldBe(1);
    }
}
