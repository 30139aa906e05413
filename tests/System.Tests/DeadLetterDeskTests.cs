using Pipeline.Contracts.DeadLetters;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>What people do about single dead letters, with workers that write it down.</summary>
public sealed class DeadLetterDeskTests : Stack
{
    [Fact]
    public async Task Edited_command_is_another_one_that_names_the_first_and_is_sent_once()
    {
        await ExecuteAsync(Causes.BreakSql);
        StartWorker("worker");
        await using var publisher = NewPublisher();
        await using var listener = await RawClient.ConnectAsync(Broker);
        var edited = await listener.ListenAsync("dead-letter-edited");
        var project = Guid.NewGuid();
        var save = Commands.Save(project, scene: 1, slot: 1);
        await publisher.PublishAsync(save.ToWire(), CancellationToken.None);
        await UntilAsync("it is a dead letter", async () => await LettersAsync() == 1);
        var id = save.CommandId.ToString();

        var broken = await RunAsync("edit", id, "--set", "slot=-1");
        broken.ExitCode.ShouldBe(2);
        broken.Error.ShouldContain("slot");
        (await LettersAsync()).ShouldBe(1);

        var run = await RunAsync("edit", id, "--set", "slot=3", "--as", "jane", "--reason", "slot 1 is full");
        run.ExitCode.ShouldBe(0, run.Error);
        var successor = run.Objects().Single().GetProperty("successor").GetGuid();
        (await LettersAsync()).ShouldBe(0);
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
            var again = await RunAsync("edit", id, "--set", slot);
            again.ExitCode.ShouldBe(1);
            again.Error.ShouldContain($"sent as {successor}");
        }

        await UntilAsync("it is announced", async () => await MessagesAsync(edited) == 1);
        var audit = (await RunAsync("audit", id)).Objects().Single();
        audit.GetProperty("successorId").GetGuid().ShouldBe(successor);
        audit.GetProperty("doneBy").GetString().ShouldBe("jane");
        audit.GetProperty("outcome").GetString().ShouldBe("target-missing");
        (await OutcomeAsync(save.CommandId)).ShouldBe("failed");
    }

    [Fact]
    public async Task Action_is_recorded_once_however_often_and_in_whatever_order_it_is_told()
    {
        StartWorker("worker");
        await using var publisher = NewPublisher();
        await using var listener = await RawClient.ConnectAsync(Broker);
        var replayed = await listener.ListenAsync("dead-letter-replayed");
        var begun = new DeadLetterStep(
            Guid.NewGuid(),
            DeadLetterActions.Replay,
            "project-lane-03_error",
            Guid.NewGuid().ToString(),
            "save-image",
            Guid.NewGuid(),
            Replays: 1,
            SuccessorId: null,
            DateTimeOffset.UtcNow,
            DoneAt: null
        );
        var done = begun with { DoneAt = DateTimeOffset.UtcNow };
        foreach (var step in new[] { done, begun, done, begun })
        {
            var record = new RecordDeadLetterActions(Guid.NewGuid(), "jane", "mended", [step]);
            await publisher.PublishAsync(
                WireMessage.Command(record, Guid.NewGuid(), Guid.Empty),
                CancellationToken.None
            );
        }

        await UntilAsync("all are consumed", async () => await MessagesAsync("record-dead-letter-actions") == 0);
        await UntilAsync("it is announced", async () => await MessagesAsync(replayed) >= 1);
        (
            await RowsAsync(
                "select outcome, done_by from status.dead_letter_actions",
                x => $"{x.GetString(0)} {x.GetString(1)}"
            )
        ).ShouldBe(["done jane"]);
        (await ScalarAsync<long>("select count(*) from pipeline.outbox")).ShouldBe(0);
        (await MessagesAsync(replayed)).ShouldBe(1u);
    }

    [Fact]
    public async Task Message_that_exceeds_the_delivery_limit_or_expires_is_a_dead_letter_like_the_others()
    {
        // No worker runs: the test is the worker that never answers.
        await using var listener = await RawClient.ConnectAsync(Broker);
        await using var connection = await new ConnectionFactory { Uri = Broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        var (limit, expired) = (Guid.NewGuid(), Guid.NewGuid());
        var project = Guid.NewGuid().ToString();
        await channel.BasicPublishAsync(
            "import-image",
            project,
            mandatory: true,
            new BasicProperties { MessageId = expired.ToString(), Expiration = "1" },
            "{}"u8.ToArray()
        );
        await UntilAsync("it expired", async () => await MessagesAsync("import-image_error") == 1);
        await listener.PublishAsync("import-image", project, "{}", limit.ToString(), type: null);
        for (var delivery = 0; delivery <= 20; delivery++)
        {
            BasicGetResult? got = null;
            await UntilAsync(
                "it is delivered, or moved",
                async () =>
                    (got = await channel.BasicGetAsync("import-image", autoAck: false)) is not null
                    || await MessagesAsync("import-image_error") == 2
            );
            if (got is not null)
                await channel.BasicNackAsync(got.DeliveryTag, multiple: false, requeue: true);
        }

        await UntilAsync("it was moved", async () => await MessagesAsync("import-image_error") == 2);

        var letters = (await RunAsync("list", "--messages")).Objects();
        letters
            .Select(x => (x.GetProperty("messageId").GetGuid(), x.GetProperty("cause").GetString()))
            .ShouldBe([(expired, "expired"), (limit, "delivery_limit")]);
        letters.ShouldAllBe(x =>
            x.GetProperty("type").GetString() == "import-image"
            && x.GetProperty("projectId").GetString() == project
            && x.GetProperty("failedAt").GetString() != null
        );
        (await RunAsync("replay", "--all")).ExitCode.ShouldBe(0);
        (await MessagesAsync("import-image")).ShouldBe(2u);
        (await MessagesAsync("import-image_error")).ShouldBe(0u);
    }

    private Task<VerbProcess> RunAsync(params string[] args) =>
        VerbProcess.RunAsync(this, ["dead-letters", .. args, "--json"]);

    private async Task<long> LettersAsync()
    {
        long count = 0;
        for (var lane = 0; lane < 8; lane++)
            count += await MessagesAsync(WireNames.ErrorQueue(WireNames.LaneQueue(lane)));
        return count;
    }

    private Task<string> OutcomeAsync(Guid command) =>
        ScalarAsync<string>("select outcome from pipeline.receipts where command_id = $1", command);

    private async Task ExecuteAsync(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
