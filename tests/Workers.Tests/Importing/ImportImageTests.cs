using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using Pipeline.Workers.Storage;
using Pipeline.Workers.Tests.Formats;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Importing;

public sealed class ImportImageTests(ImportPipeline pipeline) : IClassFixture<ImportPipeline>
{
    private const string Outcome = "select outcome from pipeline.receipts where command_id = $1";
    private const string Reason = "select reason from pipeline.receipts where command_id = $1";
    private const string FollowUp = "select follow_up_id::text from pipeline.receipts where command_id = $1";
    private const string Replays = "select replays from pipeline.receipts where command_id = $1";
    private const string Save =
        "select convert_from(body, 'utf8') from pipeline.outbox where exchange = 'save-image' and routing_key = $1::text";
    private const string Saves =
        "select count(*) from pipeline.outbox where exchange = 'save-image' and routing_key = $1::text";
    private const string Rejections =
        "select nullif(count(*), 0) from pipeline.outbox where exchange = 'command-rejected' and routing_key = $1::text";
    private const string Sources = "select count(*) from pipeline.import_sources where key = $1";
    private const string Held = "select count(*) from pipeline.held_objects where key = $1";
    private const string Objects =
        "select count(*) from pipeline.catalog_objects where key like 'projects/' || $1::text || '/%'";

    private static readonly byte[] Png = TinyFiles.Png(3, 2);

    [Fact]
    public async Task Picture_of_an_url_is_stored_and_its_save_queued()
    {
        await using var stub = await HttpStub.StartAsync(Png);
        var command = NewImport(stub.Url);

        await pipeline.SendAsync(command);

        (await pipeline.WaitForAsync(Outcome, command.CommandId)).ShouldBe("applied");
        var save = await SaveOf(command);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(Png));
        save.ShouldBe(
            new SaveImage(
                save.CommandId, // At random.
                command.ProjectId,
                command.ImageId,
                "scene-1",
                1,
                2,
                ObjectKeys.ForImage(command.ProjectId, command.ImageId, sha256, "png"),
                sha256,
                "image/png",
                Png.Length,
                3,
                2
            )
        );
        (await pipeline.Store.HeadAsync(save.ObjectKey, default)).ShouldNotBeNull().Size.ShouldBe(Png.Length);
        (await pipeline.AskAsync(Objects, command.ProjectId)).ShouldBe("1");
    }

    [Fact]
    public async Task Upload_is_imported_and_removed()
    {
        var upload = ObjectKeys.ForUpload(Guid.NewGuid());
        await pipeline.Store.PutOnceAsync(upload, TinyFiles.Jpeg(), "application/octet-stream", default);
        var command = NewImport(null) with { UploadKey = upload };

        await pipeline.SendAsync(command);

        (await pipeline.WaitForAsync(Outcome, command.CommandId)).ShouldBe("applied");
        (await SaveOf(command)).ContentType.ShouldBe("image/jpeg");
        await ShouldVanish(upload);
        (await pipeline.AskAsync(Sources, upload)).ShouldBe("0");
    }

    [Fact]
    public async Task Upload_of_a_failed_import_is_noted_and_kept_until_its_replay()
    {
        var upload = ObjectKeys.ForUpload(Guid.NewGuid());
        await pipeline.Store.PutOnceAsync(upload, TinyFiles.Gif(), "application/octet-stream", default);
        var command = NewImport(null) with { UploadKey = upload };
        await pipeline.AskAsync(
            $"""
            create function pipeline.break() returns trigger language plpgsql as
                $$ begin raise exception 'planted by the test'; end $$;
            create trigger break before insert on pipeline.outbox for each row
                when (new.exchange = 'save-image' and new.routing_key = '{command.ProjectId}')
                execute function pipeline.break();
            """
        );
        await pipeline.SendAsync(command);
        (await pipeline.WaitForAsync(Outcome, command.CommandId)).ShouldBe("failed");
        await ShouldHaveDeadLetter();
        (await pipeline.AskAsync(Sources, upload)).ShouldBe("1");
        (await pipeline.Store.HeadAsync(upload, default)).ShouldNotBeNull();

        await pipeline.AskAsync("drop trigger break on pipeline.outbox");
        await pipeline.SendAsync(command, replays: 1);

        await pipeline.WaitForAsync(Outcome + " and outcome = 'applied'", command.CommandId);
        await ShouldVanish(upload);
        (await pipeline.AskAsync(Sources, upload)).ShouldBe("0");
    }

    [Fact]
    public async Task Redelivery_fetches_nothing_and_queues_the_same_save_again()
    {
        await using var stub = await HttpStub.StartAsync(Png);
        var command = NewImport(stub.Url);
        await pipeline.SendAsync(command);
        await pipeline.WaitForAsync(Outcome, command.CommandId);

        await pipeline.SendAsync(command);

        await pipeline.WaitForAsync(
            "select 1 from pipeline.outbox where exchange = 'save-image' and routing_key = $1::text having count(*) = 2",
            command.ProjectId
        );
        (
            await pipeline.AskAsync(
                "select count(distinct (message_id, body)) from pipeline.outbox where routing_key = $1::text",
                command.ProjectId
            )
        ).ShouldBe("1");
        stub.Requests.ShouldBe(1);
    }

    [Fact]
    public async Task Same_id_with_another_content_is_refused_and_both_are_kept()
    {
        await using var stub = await HttpStub.StartAsync(Png);
        var command = NewImport(stub.Url);
        await pipeline.SendAsync(command);
        await pipeline.WaitForAsync(Outcome, command.CommandId);

        await pipeline.SendAsync(command with { Slot = 7 });

        await pipeline.WaitForAsync(Rejections, command.ProjectId);
        (await pipeline.AskAsync(Outcome, command.CommandId)).ShouldBe("applied");
        (
            await pipeline.AskAsync(
                "select body->>'slot' from pipeline.receipt_conflicts where command_id = $1",
                command.CommandId
            )
        ).ShouldBe("7");
    }

    [Fact]
    public async Task What_is_no_picture_is_rejected_with_its_reason()
    {
        await using var stub = await HttpStub.StartAsync("just text"u8.ToArray());
        var command = NewImport(stub.Url);

        await pipeline.SendAsync(command);

        (await pipeline.WaitForAsync(Outcome, command.CommandId)).ShouldBe("rejected");
        (await pipeline.AskAsync(Reason, command.CommandId)).ShouldBe(
            "sourceUrl: the file is text, not PNG, JPEG, GIF, WebP or AVIF."
        );
        (await pipeline.AskAsync(Rejections, command.ProjectId)).ShouldBe("1");
        (await pipeline.AskAsync(Saves, command.ProjectId)).ShouldBe("0");
        (await pipeline.AskAsync(Objects, command.ProjectId)).ShouldBe("0");
    }

    [Fact]
    public async Task Broken_rule_is_rejected_before_anything_is_fetched()
    {
        await using var stub = await HttpStub.StartAsync(Png);
        var command = NewImport(stub.Url) with { Slot = -1 };

        await pipeline.SendAsync(command);

        (await pipeline.WaitForAsync(Reason, command.CommandId)).ShouldBe("slot: must be 0 to 9999.");
        stub.Requests.ShouldBe(0);
    }

    [Fact]
    public async Task Missing_upload_is_rejected()
    {
        var command = NewImport(null) with { UploadKey = ObjectKeys.ForUpload(Guid.NewGuid()) };

        await pipeline.SendAsync(command);

        (await pipeline.WaitForAsync(Reason, command.CommandId)).ShouldStartWith("uploadKey: there is no such upload");
    }

    [Fact]
    public async Task What_passes_by_itself_is_retried()
    {
        await using var stub = await HttpStub.StartAsync(
            (context, number) =>
            {
                context.Response.StatusCode = number < 3 ? 503 : 200;
                return number < 3 ? Task.CompletedTask : context.Response.Body.WriteAsync(Png).AsTask();
            }
        );
        var command = NewImport(stub.Url);

        await pipeline.SendAsync(command);

        (await pipeline.WaitForAsync(Outcome, command.CommandId)).ShouldBe("applied");
        stub.Requests.ShouldBe(3);
    }

    [Fact]
    public async Task Lasting_failure_has_a_receipt_and_a_dead_letter_and_a_replay_decides_anew()
    {
        var down = true;
        await using var stub = await HttpStub.StartAsync(
            (context, _) =>
            {
                context.Response.StatusCode = down ? 503 : 200;
                return down ? Task.CompletedTask : context.Response.Body.WriteAsync(Png).AsTask();
            }
        );
        var command = NewImport(stub.Url);
        await pipeline.SendAsync(command);
        (await pipeline.WaitForAsync(Outcome, command.CommandId)).ShouldBe("failed");
        (await pipeline.AskAsync(Reason, command.CommandId)).ShouldNotBeNull().ShouldContain("503");
        stub.Requests.ShouldBe(3); // once, and Importing:Retries
        await ShouldHaveDeadLetter();

        await pipeline.SendAsync(command, replays: 1);
        await pipeline.WaitForAsync(Replays + " and replays = 1", command.CommandId);
        (await pipeline.AskAsync(Outcome, command.CommandId)).ShouldBe("failed");

        down = false;
        await pipeline.SendAsync(command, replays: 2);

        await pipeline.WaitForAsync(Outcome + " and outcome = 'applied'", command.CommandId);
        (await SaveOf(command)).ImageId.ShouldBe(command.ImageId);
    }

    [Fact]
    public async Task Sixteen_deliveries_at_once_end_in_one_receipt()
    {
        await using var stub = await HttpStub.StartAsync(Png);
        var command = NewImport(stub.Url);

        for (var i = 0; i < 16; i++)
            await pipeline.SendAsync(command);
        await pipeline.WaitForAsync(Outcome, command.CommandId);
        var last = NewImport(stub.Url);
        await pipeline.SendAsync(last);
        await pipeline.WaitForAsync(Outcome, last.CommandId);

        var save = await SaveOf(command);
        (await pipeline.AskAsync(FollowUp, command.CommandId)).ShouldBe($"{save.CommandId}");
        (await pipeline.AskAsync(Objects, command.ProjectId)).ShouldBe("1");
    }

    [Fact]
    public async Task Replacement_is_queued_under_the_next_copy_of_a_purged_key()
    {
        await using var stub = await HttpStub.StartAsync(Png);
        var command = NewImport(stub.Url) with { Replace = true };
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(Png));
        var purged = ObjectKeys.ForImage(command.ProjectId, command.ImageId, sha256, "png");
        await pipeline.AskAsync("insert into pipeline.purged_objects values ($1, $2, now())", purged, command.ImageId);

        await pipeline.SendAsync(command);

        (await pipeline.WaitForAsync(Outcome, command.CommandId)).ShouldBe("applied");
        var json = await pipeline.WaitForAsync(
            "select convert_from(body, 'utf8') from pipeline.outbox where exchange = 'replace-image' and routing_key = $1::text",
            command.ProjectId
        );
        var replace = JsonSerializer.Deserialize<ReplaceImage>(json, WireJson.Options).ShouldNotBeNull();
        (await pipeline.AskAsync(FollowUp, command.CommandId)).ShouldBe($"{replace.CommandId}");
        replace.ObjectKey.ShouldBe(ObjectKeys.ForImage(command.ProjectId, command.ImageId, sha256, "png", copy: 2));
        (replace.ImageId, replace.ByteLength, replace.Width).ShouldBe((command.ImageId, Png.Length, 3));
        (await pipeline.AskAsync(Saves, command.ProjectId)).ShouldBe("0");
        (await pipeline.Store.HeadAsync(purged, default)).ShouldBeNull();
        (
            await pipeline.AskAsync("select command_id from pipeline.object_holds where key = $1", replace.ObjectKey)
        ).ShouldBe(replace.CommandId.ToString());
        (await pipeline.AskAsync(Held, replace.ObjectKey)).ShouldBe("1");
    }

    /// <summary>Shorter ones, and as many of others: what lies under the key is not believed.</summary>
    [Theory]
    [InlineData(10)]
    [InlineData(0)]
    public async Task Other_bytes_under_the_key_are_left_and_the_picture_takes_the_next_copys_key(int missing)
    {
        await using var stub = await HttpStub.StartAsync(Png);
        var command = NewImport(stub.Url);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(Png));
        var taken = ObjectKeys.ForImage(command.ProjectId, command.ImageId, sha256, "png");
        await pipeline.Store.PutOnceAsync(taken, new byte[Png.Length - missing], "image/png", default);

        await pipeline.SendAsync(command);

        (await pipeline.WaitForAsync(Outcome, command.CommandId)).ShouldBe("applied");
        var save = await SaveOf(command);
        save.ObjectKey.ShouldBe(ObjectKeys.ForImage(command.ProjectId, command.ImageId, sha256, "png", copy: 2));
        save.ByteLength.ShouldBe(Png.Length);
        (await pipeline.Store.HeadAsync(save.ObjectKey, default)).ShouldNotBeNull().Size.ShouldBe(Png.Length);
        (await pipeline.Store.HeadAsync(taken, default)).ShouldNotBeNull().Size.ShouldBe(Png.Length - missing);
    }

    /// <summary>A delivery that was cut off behind the put, before its receipt.</summary>
    [Fact]
    public async Task Own_bytes_from_before_are_taken_as_they_are()
    {
        await using var stub = await HttpStub.StartAsync(Png);
        var command = NewImport(stub.Url);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(Png));
        var key = ObjectKeys.ForImage(command.ProjectId, command.ImageId, sha256, "png");
        await pipeline.Store.PutOnceAsync(key, Png, "image/png", default);

        await pipeline.SendAsync(command);

        (await pipeline.WaitForAsync(Outcome, command.CommandId)).ShouldBe("applied");
        (await SaveOf(command)).ObjectKey.ShouldBe(key);
    }

    private static ImportImage NewImport(Uri? url) =>
        new(Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), "scene-1", 1, 2, url?.ToString(), null);

    private async Task<SaveImage> SaveOf(ImportImage command)
    {
        var json = await pipeline.WaitForAsync(Save, command.ProjectId);
        return JsonSerializer.Deserialize<SaveImage>(json, WireJson.Options).ShouldNotBeNull();
    }

    private async Task ShouldVanish(string key)
    {
        var giveUp = DateTimeOffset.UtcNow.AddSeconds(30);
        while (await pipeline.Store.HeadAsync(key, default) is not null)
        {
            DateTimeOffset.UtcNow.ShouldBeLessThan(giveUp);
            await Task.Delay(50);
        }
    }

    private async Task ShouldHaveDeadLetter()
    {
        var giveUp = DateTimeOffset.UtcNow.AddSeconds(30);
        while (await pipeline.DeadLettersAsync() == 0)
        {
            DateTimeOffset.UtcNow.ShouldBeLessThan(giveUp);
            await Task.Delay(50);
        }
    }
}
