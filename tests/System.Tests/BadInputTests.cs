using System.Text;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Whatever is sent gets a clear answer, and nothing is lost.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class BadInputTests : Stack
{
    [Fact]
    public async Task Picture_of_a_scene_that_comes_later_is_kept_and_placed_when_it_arrives()
    {
        HostWorker("worker");
        await using var publisher = NewPublisher();
        await using var listener = await RawClient.ConnectAsync(Broker);
        var projectId = Guid.NewGuid();
        var saved = await listener.ListenAsync("image-saved", projectId.ToString());
        var unplaced = await listener.ListenAsync("image-unplaced");
        var byId = Commands.Save(projectId, scene: 1, slot: 0);
        var byIndex = Commands.Save(projectId, scene: 2, slot: 0) with { SceneId = null, SceneIndex = 2 };
        await PlantObjectsAsync([byId.ObjectKey, byIndex.ObjectKey]);

        await publisher.PublishAllAsync([byId.ToWire(), byIndex.ToWire()], CancellationToken.None);
        await UntilReceiptsAsync(2);
        (await ReceiptAsync(byId.CommandId)).ShouldBe("target-missing: Kept out of sight until there is the scene.");
        (await ReceiptAsync(byIndex.CommandId)).ShouldBe("target-missing: Kept out of sight until there is the scene.");
        // A receipt is there before its announcement: the one commits first, the other follows.
        await UntilAsync("both are announced", async () => await MessagesAsync(unplaced) == 2);
        (await MessagesAsync(saved)).ShouldBe(0u);

        await publisher.PublishAsync(Commands.Storyboard(projectId, 3).ToWire(), CancellationToken.None);
        await UntilReceiptsAsync(3);
        (await ImagesShownAsync(projectId)).ShouldBe(["scene-1", "scene-2"]);
        await UntilAsync("both are announced as saved", async () => await MessagesAsync(saved) == 2);

        // A storyboard without the scene hides its picture, and one with it shows it again.
        await publisher.PublishAsync(Commands.Storyboard(projectId, 1).ToWire(), CancellationToken.None);
        await UntilReceiptsAsync(4);
        (await ImagesShownAsync(projectId)).ShouldBe(["scene-1"]);
        await publisher.PublishAsync(Commands.Storyboard(projectId, 2).ToWire(), CancellationToken.None);
        await UntilReceiptsAsync(5);
        (await ImagesShownAsync(projectId)).ShouldBe(["scene-1", "scene-2"]);
    }

    [Fact]
    public async Task Picture_whose_object_nobody_stored_is_not_shown_until_the_object_is_there()
    {
        HostWorker("worker");
        await using var publisher = NewPublisher();
        var projectId = Guid.NewGuid();
        var save = Commands.Save(projectId, scene: 1, slot: 0);
        await publisher.PublishAllAsync(
            [Commands.Storyboard(projectId, 1).ToWire(), save.ToWire()],
            CancellationToken.None
        );
        await UntilReceiptsAsync(2);
        (await ReceiptAsync(save.CommandId)).ShouldBe("target-missing: Kept out of sight until there is the object.");
        await UntilAsync(
            "the store was asked",
            async () =>
                await ScalarAsync<int>("select object_checks from status.images where id = $1", save.ImageId) > 0
        );
        (await ImagesShownAsync(projectId)).ShouldBeEmpty();

        await PutObjectAsync(save.ObjectKey, new byte[save.ByteLength]);
        await UntilAsync("the picture is shown", async () => (await ImagesShownAsync(projectId)).Count == 1);
        (await ScalarAsync<long>("select count(*) from status.catalog where key = $1", save.ObjectKey)).ShouldBe(1);
    }

    [Fact]
    public async Task Every_broken_rule_is_a_rejected_receipt_that_names_field_and_rule()
    {
        HostWorker("worker");
        await using var publisher = NewPublisher();
        var projectId = Guid.NewGuid();
        var good = Commands.Save(projectId, scene: 1, slot: 0);
        var board = Commands.Storyboard(projectId, 2);
        (WireMessage Message, string Reason)[] cases =
        [
            ((good with { CommandId = Guid.NewGuid(), Slot = -1 }).ToWire(), "slot: must be 0 to 9999."),
            (
                (good with { CommandId = Guid.NewGuid(), SceneId = new string('x', 101) }).ToWire(),
                "sceneId: must have 1 to 100 characters."
            ),
            (
                (good with { CommandId = Guid.NewGuid(), ImageId = Guid.Empty }).ToWire(),
                "imageId: must not be empty or all zeros."
            ),
            (
                (good with { CommandId = Guid.NewGuid(), ProjectId = Guid.Empty }).ToWire(),
                "projectId: must not be empty or all zeros."
            ),
            (
                good.ToWire() with
                {
                    RoutingKey = "another",
                    MessageId = Guid.NewGuid(),
                    Body = WireJson.Write(good with { CommandId = Guid.NewGuid() }),
                },
                $"routing key: must be the project id '{projectId}', which decides the lane."
            ),
            ((board with { CommandId = Guid.NewGuid(), Scenes = [] }).ToWire(), "scenes: must hold 1 to 1000."),
            (
                (board with { CommandId = Guid.NewGuid(), Scenes = [board.Scenes[0] with { Index = 0 }] }).ToWire(),
                "scenes[0].index: must be 1 to 1000000."
            ),
            (
                (
                    board with
                    {
                        CommandId = Guid.NewGuid(),
                        Scenes = [board.Scenes[0], board.Scenes[1] with { Index = 1 }],
                    }
                ).ToWire(),
                "scenes[1].index: 1 stands twice."
            ),
            (
                (board with { CommandId = Guid.NewGuid(), Scenes = [board.Scenes[0] with { Prompt = "\0" }] }).ToWire(),
                "scenes[0].prompt: must not contain the character U+0000."
            ),
        ];

        await publisher.PublishAllAsync(cases.Select(x => x.Message), CancellationToken.None);
        await UntilReceiptsAsync(cases.Length);
        var reasons = await RowsAsync(
            "select reason from status.receipts where outcome = 'rejected'",
            x => x.GetString(0)
        );
        reasons.ShouldBe(cases.Select(x => x.Reason), ignoreOrder: true);
        (await ScalarAsync<long>("select count(*) from pipeline.images")).ShouldBe(0);
    }

    [Fact]
    public async Task Id_wins_over_a_place_that_disagrees_and_the_receipt_says_so()
    {
        HostWorker("worker");
        await using var publisher = NewPublisher();
        var projectId = Guid.NewGuid();
        var save = Commands.Save(projectId, scene: 2, slot: 0) with { SceneIndex = 1 };
        await PlantObjectsAsync([save.ObjectKey]);
        await publisher.PublishAllAsync(
            [Commands.Storyboard(projectId, 2).ToWire(), save.ToWire()],
            CancellationToken.None
        );
        await UntilReceiptsAsync(2);
        (await ReceiptAsync(save.CommandId)).ShouldBe(
            "applied: sceneIndex 1 is not the place of scene 'scene-2', which is 2; the id won."
        );
        (await ImagesShownAsync(projectId)).ShouldBe(["scene-2"]);
    }

    [Fact]
    public async Task Command_id_used_again_with_another_content_is_refused_and_both_are_kept()
    {
        HostWorker("worker");
        await using var publisher = NewPublisher();
        await using var listener = await RawClient.ConnectAsync(Broker);
        var rejected = await listener.ListenAsync("command-rejected");
        var first = Commands.Save(Guid.NewGuid(), scene: 1, slot: 0);
        var second = first with { Slot = 1 };
        await PlantObjectsAsync([first.ObjectKey]);
        await publisher.PublishAllAsync([first.ToWire(), second.ToWire(), first.ToWire()], CancellationToken.None);
        await UntilAsync("the refusal", async () => await MessagesAsync(rejected) == 1);

        (await ReceiptAsync(first.CommandId)).ShouldStartWith("target-missing");
        (
            await ScalarAsync<string>(
                "select body->>'slot' from status.receipt_conflicts where command_id = $1",
                first.CommandId
            )
        ).ShouldBe("1");
        (await ScalarAsync<int>("select slot from status.images where id = $1", first.ImageId)).ShouldBe(0);
    }

    [Fact]
    public async Task What_cannot_be_read_goes_to_the_dead_letters_with_a_receipt_and_the_lane_goes_on()
    {
        HostWorker("worker");
        var projectId = Guid.NewGuid();
        var key = projectId.ToString();
        var good = Commands.Save(projectId, scene: 1, slot: 0);
        await PlantObjectsAsync([good.ObjectKey]);
        await using var client = await RawClient.ConnectAsync(Broker);
        (string Body, string Type, string Reason)[] cases =
        [
            ("{ \"commandId\": ", "save-image", "no valid JSON"),
            ("[1, 2]", "save-image", "not a JSON object"),
            ("", "save-image", "empty"),
            ("{}", "save-the-whales", "'save-the-whales' is no message of this pipeline"),
            ("{}", "image-saved", "it must be published to its own"),
            ($"{{ \"slot\": \"first\", \"projectId\": \"{projectId}\" }}", "save-image", "slot"),
            (new string(' ', (1024 * 1024) + 1), "save-image", "the limit is 1048576"),
        ];
        var ids = cases.Select(_ => Guid.NewGuid()).ToArray();
        for (var i = 0; i < cases.Length; i++)
            await client.PublishAsync("save-image", key, cases[i].Body, ids[i].ToString(), cases[i].Type);
        await client.PublishAsync("save-image", key, "{}", messageId: null, "save-image"); // Not even an id.
        var unwanted = Guid.NewGuid(); // Only a person's replay comes this way.
        client.UserId = Uri.UnescapeDataString(Broker.UserInfo.Split(':')[0]); // Events are taken from workers only.
        await client.PublishAsync("project-lanes", key, "{}", unwanted.ToString(), "image-saved");
        client.UserId = null;
        await client.PublishAsync(
            "save-image",
            key,
            Encoding.UTF8.GetString(WireJson.Write(good)),
            messageId: null,
            type: null
        );

        await UntilReceiptsAsync(cases.Length + 2);
        (await ReceiptAsync(unwanted)).ShouldContain("not a lane command");
        for (var i = 0; i < cases.Length; i++)
        {
            var receipt = await ReceiptAsync(ids[i]);
            receipt.ShouldStartWith("rejected: ");
            receipt.ShouldContain(cases[i].Reason);
        }

        // The last one named its type by the exchange alone, and its id in the body.
        (await ReceiptAsync(good.CommandId)).ShouldStartWith("target-missing");
        // A receipt is there before its dead letter: the one commits first, the other follows.
        List<BasicGetResult> dead = [];
        await UntilAsync(
            "the dead letters",
            async () =>
            {
                dead.AddRange(await DeadLettersAsync(client));
                return dead.Count >= cases.Length + 2;
            }
        );
        dead.Count.ShouldBe(cases.Length + 2);
        dead.Count(x => Header(x, "MT-Fault-Message") is not null || Header(x, "MT-Reason") is not null)
            .ShouldBe(dead.Count);
    }

    [Fact]
    public async Task Poison_command_fails_alone_with_its_receipt_and_its_neighbours_are_applied()
    {
        await using var publisher = NewPublisher();
        var projectId = Guid.NewGuid();
        var saves = Enumerable.Range(0, 50).Select(x => Commands.Save(projectId, scene: 1, slot: x)).ToArray();
        await PlantObjectsAsync([.. saves.Select(x => x.ObjectKey)]);
        await BreakAsync(saves[20].ImageId);
        await publisher.PublishAsync(Commands.Storyboard(projectId, 1).ToWire(), CancellationToken.None);
        await publisher.PublishAllAsync(saves.Select(x => x.ToWire()), CancellationToken.None);
        HostWorker("worker"); // Now, so that they come as one batch.

        await UntilReceiptsAsync(saves.Length + 1);
        (await ReceiptAsync(saves[20].CommandId)).ShouldContain(
            "failed: PostgresException: P0001: planted by the test"
        );
        (await ScalarAsync<long>("select count(*) from status.receipts where outcome = 'applied'")).ShouldBe(
            saves.Length
        );
        var shown = await RowsAsync(
            "select slot from status.images where state = 'shown' order by project_version",
            x => x.GetInt32(0)
        );
        shown.ShouldBe(Enumerable.Range(0, 50).Where(x => x != 20));

        await using var client = await RawClient.ConnectAsync(Broker);
        List<BasicGetResult> dead = [];
        await UntilAsync("the dead letter", async () => (dead = await DeadLettersAsync(client)).Count == 1);
        dead[0].BasicProperties.MessageId.ShouldBe(saves[20].CommandId.ToString());
        dead[0].RoutingKey.ShouldBe(projectId.ToString());
        Header(dead[0], "MT-Fault-Message").ShouldNotBeNull().ShouldContain("planted by the test");
    }

    [Fact]
    public async Task Envelope_of_MassTransit_is_a_command_like_any_other()
    {
        HostWorker("worker");
        var save = Commands.Save(Guid.NewGuid(), scene: 1, slot: 0);
        await using var client = await RawClient.ConnectAsync(Broker);
        var envelope = $$"""
            { "messageId": "{{save.CommandId}}", "messageType": ["urn:message:Pipeline.Contracts.Saving:SaveImage"],
              "message": {{Encoding.UTF8.GetString(WireJson.Write(save))}} }
            """;
        await client.PublishAsync(
            "save-image",
            save.ProjectId.ToString(),
            envelope,
            save.CommandId.ToString(),
            type: null,
            "application/vnd.masstransit+json"
        );
        await UntilReceiptsAsync(1);
        (await ReceiptAsync(save.CommandId)).ShouldBe(
            "target-missing: Kept out of sight until there is the scene and object."
        );
    }

    private Task<string> ReceiptAsync(Guid commandId) =>
        ScalarAsync<string>(
            "select concat_ws(': ', outcome, reason) from status.receipts where command_id = $1",
            commandId
        );

    private Task<List<string>> ImagesShownAsync(Guid projectId) =>
        RowsAsync(
            "select scene_id from status.images where project_id = $1 and state = 'shown' order by scene_id",
            x => x.GetString(0),
            projectId
        );

    /// <summary>A defect that no retry mends, for one picture.</summary>
    private Task<bool> BreakAsync(Guid imageId) =>
        ScalarAsync<bool>(
            $"""
            create function pipeline.break() returns trigger language plpgsql as
                $$ begin raise exception 'planted by the test'; end $$;
            create trigger break before insert on pipeline.images for each row when (new.id = '{imageId}')
                execute function pipeline.break();
            select true
            """
        );

    private static async Task<List<BasicGetResult>> DeadLettersAsync(RawClient client)
    {
        var dead = new List<BasicGetResult>();
        var lanes = Enumerable.Range(0, 8).Select(WireNames.LaneQueue).ToArray();
        foreach (var queue in lanes.Select(WireNames.ErrorQueue).Concat(lanes.Select(WireNames.SkippedQueue)))
        {
            while (await client.GetAsync(queue) is { } message)
                dead.Add(message);
        }

        return dead;
    }

    private static string? Header(BasicGetResult message, string name) =>
        message.BasicProperties.Headers?.TryGetValue(name, out var value) == true && value is byte[] bytes
            ? Encoding.UTF8.GetString(bytes)
            : null;

    private static async Task PutObjectAsync(string key, byte[] bytes)
    {
        using var s3 = new AmazonS3Client(
            new BasicAWSCredentials(Required("Storage__AccessKey"), Required("Storage__SecretKey")),
            new AmazonS3Config
            {
                ServiceURL = Required("Storage__ServiceUrl"),
                ForcePathStyle = true,
                AuthenticationRegion = Required("Storage__Region"),
                RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
                ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            }
        );
        using var content = new MemoryStream(bytes);
        await s3.PutObjectAsync(
            new PutObjectRequest
            {
                BucketName = Required("Storage__Bucket"),
                Key = key,
                InputStream = content,
                ContentType = "image/png",
            }
        );
    }
}
