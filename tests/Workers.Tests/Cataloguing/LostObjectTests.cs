using System.Text.Json;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>The store says that an image's object is gone, or another: the image is hidden. Whole images stay.</summary>
public sealed class LostObjectTests(RebuildPipeline pipeline) : IClassFixture<RebuildPipeline>
{
    private const string ShowSql = """
        with p as (insert into pipeline.projects (id, version, created_at, updated_at) values ($1, 1, now(), now()))
        insert into pipeline.images
            (id, project_id, slot, version, object_key, sha256, content_type, byte_length, width, height, object_seen,
             placed, project_version, saved_at, updated_at)
        values ($2, $1, 0, 1, $3, repeat('a', 64), 'image/png', 4, 1, 1, true, true, 1, now(), now())
        returning 1
        """;

    private const string Hidden = """
        select convert_from(body, 'utf8')::json ->> 'objectKey' from pipeline.outbox
        where exchange = 'retract-object' and routing_key = $1::text
        """;

    [Fact]
    public async Task Image_is_hidden_when_the_store_tells_of_its_objects_deletion()
    {
        var image = await ShownAsync("four");
        await pipeline.Store.DeleteAsync(image.Key("a"), default);

        await NotifyAsync(image);

        (await pipeline.AskAsync(Hidden, image.ProjectId)).ShouldBe(image.Key("a"));
    }

    [Fact]
    public async Task Late_or_wrong_word_of_a_deletion_hides_nothing()
    {
        var image = await ShownAsync("four");

        await NotifyAsync(image);
        (await ForgetAsync(image)).ShouldStartWith("superseded");

        (await pipeline.AskAsync(Hidden, image.ProjectId)).ShouldBeNull();
    }

    [Fact]
    public async Task Command_that_finds_it_gone_or_of_another_length_hides_it_and_names_what_does()
    {
        var gone = await ShownAsync("four");
        await pipeline.Store.DeleteAsync(gone.Key("a"), default);
        (await ForgetAsync(gone)).ShouldStartWith("unchanged");
        (await pipeline.AskAsync(Hidden, gone.ProjectId)).ShouldBe(gone.Key("a"));

        var longer = await ShownAsync("five!");
        var command = new RecordObject(Guid.NewGuid(), longer.Key("a"));
        (await pipeline.AnswerAsync(command, command.CommandId)).ShouldBe("applied");
        (await pipeline.AskAsync(Hidden, longer.ProjectId)).ShouldBe(longer.Key("a"));
        (
            await pipeline.AskAsync(
                "select count(*) from pipeline.receipts r join pipeline.outbox o on o.message_id = r.follow_up_id where r.command_id = $1",
                command.CommandId
            )
        ).ShouldBe("1");
    }

    [Fact]
    public async Task Rebuild_that_finds_no_object_has_the_store_asked_about_it()
    {
        var lost = await ShownAsync("four");
        var whole = await ShownAsync("four");
        await pipeline.PlantAsync(lost.Key("a"));
        await pipeline.PlantAsync(whole.Key("a"));
        await pipeline.Store.DeleteAsync(lost.Key("a"), default);

        await pipeline.RunAsync(await pipeline.AskAsync());
        await Until.TrueAsync(
            "the image is hidden",
            async () =>
            {
                await pipeline.StepAsync();
                return await pipeline.AskAsync(Hidden, lost.ProjectId) == lost.Key("a");
            }
        );

        (await pipeline.AskAsync(Hidden, whole.ProjectId)).ShouldBeNull();
    }

    [Fact]
    public async Task Image_that_a_lane_is_just_showing_is_hidden_too()
    {
        var image = NewPicture.Any();
        await pipeline.PlantAsync(image.Key("a"));
        // The lane has seen the entry; its transaction is not committed yet, and neither is the project.
        await using var lane = await pipeline.Database.OpenConnectionAsync();
        await using var transaction = await lane.BeginTransactionAsync();
        await using var show = lane.CreateCommand();
        show.CommandText = ShowSql;
        show.Parameters.Add(new() { Value = image.ProjectId });
        show.Parameters.Add(new() { Value = image.ImageId });
        show.Parameters.Add(new() { Value = image.Key("a") });
        await show.ExecuteNonQueryAsync();

        var consumed = await pipeline.NotifyAsync(EventOf(image));
        await Until.TrueAsync(
            "the look waits for the lane, or is over",
            async () =>
                consumed.IsCompleted
                || await pipeline.AskAsync(
                    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
                ) == "1"
        );
        await transaction.CommitAsync();
        await consumed;

        (await pipeline.AskAsync(Hidden, image.ProjectId)).ShouldBe(image.Key("a"));
    }

    /// <summary>An image of four bytes that is shown, over an object.</summary>
    private async Task<NewPicture> ShownAsync(string content)
    {
        var image = NewPicture.Any();
        await pipeline.PutAsync(image.Key("a"), content);
        await pipeline.AskAsync(ShowSql, image.ProjectId, image.ImageId, image.Key("a"));
        return image;
    }

    private async Task<string> ForgetAsync(NewPicture image)
    {
        var command = new ForgetObject(Guid.NewGuid(), image.Key("a"));
        return await pipeline.AnswerAsync(command, command.CommandId);
    }

    private async Task NotifyAsync(NewPicture image) => await await pipeline.NotifyAsync(EventOf(image));

    private string EventOf(NewPicture image) =>
        JsonSerializer.Serialize(
            new
            {
                Records = new object[]
                {
                    new
                    {
                        eventSource = "aws:s3",
                        eventName = "ObjectRemoved:Delete",
                        s3 = new
                        {
                            bucket = new { name = pipeline.Bucket },
                            @object = new { key = image.Key("a"), sequencer = "01" },
                        },
                    },
                },
            }
        );
}
