using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Saving;

public sealed class ReplaceImageTests(LaneBench lane) : IClassFixture<LaneBench>
{
    private const string Shown = """
        select concat(object_key, ' ', version, ' ', state) from status.images where id = $1
        """;

    private const string Purges = """
        select concat(object_key, ' ', due_at > now() + interval '10 minutes') from pipeline.deletions
        where image_id = $1 and kind = 'object' order by object_key
        """;

    private const string Document = "select document::text from status.project_documents where project_id = $1";

    [Fact]
    public async Task New_bytes_are_shown_under_the_next_version_and_the_earlier_ones_are_to_be_purged()
    {
        var picture = await SavedAsync("a");
        await lane.PlantAsync(picture.Key("b"));
        var before = await lane.AskAsync(Document, picture.ProjectId);

        var receipt = await lane.ApplyAsync(picture.Replace("b"));

        (receipt.Outcome, receipt.ProjectVersion).ShouldBe((Outcomes.Applied, 2));
        receipt.Announcements.Single().Exchange.ShouldBe("image-replaced");
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("b")} 2 shown");
        (await lane.Database.TextsAsync(Purges, picture.ImageId)).ShouldBe([$"{picture.Key("a")} t"]);
        before.ShouldContain($"/images/{picture.ImageId}/1");
        (await lane.AskAsync(Document, picture.ProjectId)).ShouldContain($"/images/{picture.ImageId}/2");
    }

    [Fact]
    public async Task Earlier_bytes_are_shown_until_the_new_object_is_seen()
    {
        var picture = await SavedAsync("a");

        var awaited = await lane.ApplyAsync(picture.Replace("b"));

        (awaited.Outcome, awaited.ProjectVersion).ShouldBe((Outcomes.TargetMissing, null));
        awaited.Announcements.Single().Exchange.ShouldBe("replacement-awaited");
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a")} 1 shown");
        (await lane.Database.TextsAsync(Purges, picture.ImageId)).ShouldBeEmpty();

        var seen = await lane.ApplyAsync(picture.Confirm("b"));

        seen.Outcome.ShouldBe(Outcomes.Applied);
        seen.Announcements.Single().Exchange.ShouldBe("image-replaced");
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("b")} 2 shown");
        (
            await lane.AskAsync("select count(*) from pipeline.image_replacements where image_id = $1", picture.ImageId)
        ).ShouldBe("0");
    }

    [Fact]
    public async Task Last_replacement_in_the_queue_wins_whichever_object_comes_first()
    {
        var picture = await SavedAsync("a");
        await lane.PlantAsync(picture.Key("c"));

        await lane.ApplyAsync(picture.Replace("b"));
        await lane.ApplyAsync(picture.Replace("c"));
        var late = await lane.ApplyAsync(picture.Confirm("b"));

        late.Outcome.ShouldBe(Outcomes.Superseded);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("c")} 2 shown");
        (await lane.Database.TextsAsync(Purges, picture.ImageId)).ShouldBe(
            [$"{picture.Key("a")} t", $"{picture.Key("b")} t"],
            StringComparer.Ordinal,
            ignoreOrder: true
        );
    }

    [Fact]
    public async Task Bytes_that_are_shown_already_change_nothing_and_end_the_wait_for_others()
    {
        var picture = await SavedAsync("a");
        await lane.ApplyAsync(picture.Replace("b"));

        var receipt = await lane.ApplyAsync(picture.Replace("a"));

        receipt.Outcome.ShouldBe(Outcomes.Unchanged);
        (await lane.ApplyAsync(picture.Confirm("b"))).Outcome.ShouldBe(Outcomes.Superseded);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a")} 1 shown");
    }

    [Fact]
    public async Task Replacements_of_one_batch_follow_each_other()
    {
        var picture = await SavedAsync("a");
        await lane.PlantAsync(picture.Key("b"), picture.Key("c"));

        var receipts = await lane.ApplyAllAsync(
            lane.Entry(picture.Replace("b")),
            lane.Entry(picture.Replace("c")),
            lane.Entry(picture.Replace("a"))
        );

        receipts.ShouldAllBe(x => x.Outcome == Outcomes.Applied);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a")} 4 shown");
    }

    [Fact]
    public async Task Picture_that_is_not_there_is_a_missing_target_and_its_bytes_are_orphans()
    {
        var picture = NewPicture.Any();

        var receipt = await lane.ApplyAsync(picture.Replace("a"));

        receipt.Outcome.ShouldBe(Outcomes.TargetMissing);
        receipt.Reason.ShouldNotBeNull().ShouldContain("no such picture");
        (await lane.AskAsync("select count(*) from status.images where id = $1", picture.ImageId)).ShouldBe("0");
        (await lane.Database.TextsAsync(Purges, picture.ImageId)).ShouldBe([$"{picture.Key("a")} t"]);
    }

    [Fact]
    public async Task Waiting_picture_waits_for_the_new_bytes_instead()
    {
        var picture = NewPicture.Any();
        await lane.ApplyAsync(picture.Save("a"));

        var receipt = await lane.ApplyAsync(picture.Replace("b"));

        receipt.Outcome.ShouldBe(Outcomes.TargetMissing);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("b")} 2 waiting");
        (await lane.ApplyAsync(picture.Confirm("a"))).Outcome.ShouldBe(Outcomes.Superseded);
        (await lane.ApplyAsync(picture.Confirm("b"))).Outcome.ShouldBe(Outcomes.Applied);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("b")} 2 shown");
    }

    [Fact]
    public async Task Save_with_other_bytes_is_refused_and_its_bytes_are_orphans()
    {
        var picture = await SavedAsync("a");

        var receipt = await lane.ApplyAsync(picture.Save("b"));

        receipt.Outcome.ShouldBe(Outcomes.Rejected);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a")} 1 shown");
        (await lane.Database.TextsAsync(Purges, picture.ImageId)).ShouldBe([$"{picture.Key("b")} t"]);
    }

    [Fact]
    public async Task Key_that_was_purged_is_refused_and_its_next_copy_taken()
    {
        var picture = await SavedAsync("a");
        await lane.Database.ExecuteAsync(
            "insert into pipeline.purged_objects values ($1, $2, now())",
            picture.Key("b"),
            picture.ImageId
        );
        await lane.PlantAsync(picture.Key("b", copy: 2));

        (await lane.ApplyAsync(picture.Replace("b"))).Outcome.ShouldBe(Outcomes.Rejected);
        (await lane.ApplyAsync(picture.Replace("b", copy: 2))).Outcome.ShouldBe(Outcomes.Applied);

        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("b", copy: 2)} 2 shown");
    }

    private async Task<NewPicture> SavedAsync(string bytes)
    {
        var picture = NewPicture.Any();
        await lane.PlantAsync(picture.Key(bytes));
        (await lane.ApplyAsync(picture.Save(bytes))).Outcome.ShouldBe(Outcomes.Applied);
        return picture;
    }
}
