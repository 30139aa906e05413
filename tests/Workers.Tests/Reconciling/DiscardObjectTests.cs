using System.Text;
using Pipeline.Contracts.Reconciling;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Reconciling;

/// <summary>What <c>discard-object</c> deletes itself, and what it leaves to the lane.</summary>
public sealed class DiscardObjectTests(ReconcilingPipeline pipeline) : IClassFixture<ReconcilingPipeline>
{
    private const string Outcome = "select outcome from pipeline.receipts where command_id = $1";

    private const string ShowSql = """
        with p as (insert into pipeline.projects (id, version, created_at, updated_at) values ($1, 1, now(), now()))
        insert into pipeline.images
            (id, project_id, slot, version, object_key, sha256, content_type, byte_length, width, height, object_seen,
             placed, project_version, saved_at, updated_at)
        values ($2, $1, 0, 1, $3, repeat('a', 64), 'image/png', 4, 1, 1, true, true, 1, now(), now() - interval '1 day')
        """;

    private const string Hiding = """
        select concat(convert_from(body, 'utf8')::json ->> 'purge', ' ', r.follow_up_id = o.message_id)
        from pipeline.outbox o join pipeline.receipts r on r.command_id = $1
        where o.exchange = 'retract-object' and o.routing_key = $2::text
        """;

    [Fact]
    public async Task Wrong_bytes_stay_until_their_picture_is_hidden()
    {
        var picture = await ShownAsync();
        await PutAsync(picture);
        var discard = NewDiscard(picture);

        await pipeline.SendAsync(discard);

        (await pipeline.WaitForAsync(Outcome, discard.CommandId)).ShouldBe("applied");
        (await pipeline.Store.HeadAsync(picture.Key("a"), default)).ShouldNotBeNull();
        (await pipeline.AskAsync(Hiding, discard.CommandId, picture.ProjectId)).ShouldBe("true t");
    }

    [Fact]
    public async Task Picture_whose_object_is_gone_already_is_hidden_too()
    {
        var picture = await ShownAsync();
        var discard = NewDiscard(picture);

        await pipeline.SendAsync(discard);

        (await pipeline.WaitForAsync(Outcome, discard.CommandId)).ShouldBe("unchanged");
        (await pipeline.AskAsync(Hiding, discard.CommandId, picture.ProjectId)).ShouldBe("false t");
    }

    [Fact]
    public async Task Orphan_goes_its_key_is_given_up_and_no_project_is_made()
    {
        var picture = NewPicture.Any();
        await PutAsync(picture);
        var discard = NewDiscard(picture);

        await pipeline.SendAsync(discard);

        (await pipeline.WaitForAsync(Outcome, discard.CommandId)).ShouldBe("applied");
        (await pipeline.Store.HeadAsync(picture.Key("a"), default)).ShouldBeNull();
        (
            await pipeline.AskAsync("select count(*) from pipeline.purged_objects where key = $1", picture.Key("a"))
        ).ShouldBe("1");
        (await pipeline.AskAsync("select count(*) from pipeline.projects where id = $1", picture.ProjectId)).ShouldBe(
            "0"
        );
    }

    /// <summary>The lane has seen that the key was not given up, and is about to commit project and picture.</summary>
    [Fact]
    public async Task First_picture_of_a_project_keeps_the_object_that_was_an_orphan_a_moment_ago()
    {
        var picture = NewPicture.Any();
        await PutAsync(picture);
        var discard = NewDiscard(picture);
        await using var lane = await pipeline.Database.OpenConnectionAsync();
        await using var transaction = await lane.BeginTransactionAsync();
        await using (var show = lane.CreateCommand())
        {
            show.CommandText = ShowSql;
            foreach (var value in new object[] { picture.ProjectId, picture.ImageId, picture.Key("a") })
                show.Parameters.Add(new() { Value = value });
            await show.ExecuteNonQueryAsync();
        }

        await pipeline.SendAsync(discard);
        await Until.TrueAsync(
            "the discard waits for the lane, or is over",
            async () =>
                await pipeline.AskAsync(Outcome, discard.CommandId) is not null
                || await pipeline.AskAsync(
                    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
                ) == "1"
        );
        await transaction.CommitAsync();

        (await pipeline.WaitForAsync(Outcome, discard.CommandId)).ShouldBe("superseded");
        (await pipeline.Store.HeadAsync(picture.Key("a"), default)).ShouldNotBeNull();
        (
            await pipeline.AskAsync("select count(*) from pipeline.purged_objects where key = $1", picture.Key("a"))
        ).ShouldBe("0");
    }

    private async Task<NewPicture> ShownAsync()
    {
        var picture = NewPicture.Any();
        await pipeline.AskAsync($"{ShowSql} returning 1", picture.ProjectId, picture.ImageId, picture.Key("a"));
        return picture;
    }

    private async Task PutAsync(NewPicture picture) =>
        await pipeline.Store.PutOnceAsync(picture.Key("a"), Encoding.UTF8.GetBytes("oops"), "image/png", default);

    private static DiscardObject NewDiscard(NewPicture picture) =>
        new(Guid.NewGuid(), picture.Key("a"), DateTimeOffset.UtcNow.AddHours(1));
}
