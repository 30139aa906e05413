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

/// <summary>What people do about single dead letters, with workers that write it down.</summary>
public sealed class DeadLetterDeskTests : Stack
{
    [Fact]
    public async Task Action_is_recorded_once_however_often_and_in_whatever_order_it_is_told()
    {
        HostWorker("worker");
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

        var poison = Commands.Save(Guid.Parse(project), scene: 1, slot: 1);
        await using (var lanes = await connection.CreateChannelAsync())
        {
            var dying = new AsyncEventingBasicConsumer(lanes);
            dying.ReceivedAsync += async (_, x) => await lanes.BasicNackAsync(x.DeliveryTag, false, requeue: true);
            for (var lane = 0; lane < 8; lane++)
                await lanes.BasicConsumeAsync(WireNames.LaneQueue(lane), autoAck: false, dying);
            await using var publisher = NewPublisher();
            await publisher.PublishAsync(poison.ToWire(), CancellationToken.None);
            await UntilAsync("the lane's was moved", async () => await this.LaneLettersAsync() == 1);
        }

        var letters = (await this.DeskAsync("list", "--messages")).Objects();
        letters
            .Select(x => (x.GetProperty("messageId").GetGuid(), x.GetProperty("cause").GetString()))
            .ShouldBe([(expired, "expired"), (limit, "delivery_limit"), (poison.CommandId, "delivery_limit")]);
        letters.Select(x => x.GetProperty("type").GetString()).ShouldBe(["import-image", "import-image", "save-image"]);
        letters.ShouldAllBe(x =>
            x.GetProperty("projectId").GetString() == project && x.GetProperty("failedAt").GetString() != null
        );
        (await this.DeskAsync("replay", "--all")).ExitCode.ShouldBe(0);
        (await MessagesAsync("import-image")).ShouldBe(2u);
        (await MessagesAsync("import-image_error")).ShouldBe(0u);
        (await this.LaneLettersAsync()).ShouldBe(0);
        HostWorker("worker");
        await UntilAsync(
            "the lane's was applied",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.receipts where command_id = $1 and outcome = 'target-missing'",
                    poison.CommandId
                ) == 1
        );
    }
}
