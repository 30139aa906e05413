using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Saving;

/// <summary>A picture whose object is lost or wrong: hidden, and shown again by the same bytes.</summary>
public sealed class RetractObjectTests(LaneBench lane) : IClassFixture<LaneBench>
{
    private const string Shown = """
        select concat(object_key, ' ', state, ' ', object_check_at is not null) from status.images where id = $1
        """;

    private const string Purges =
        "select concat(object_key, ' ', due_at <= now()) from pipeline.deletions where image_id = $1";

    [Fact]
    public async Task Wrong_bytes_are_hidden_and_on_their_way_out_in_one_commit()
    {
        var picture = await SavedAsync();

        var receipt = await lane.ApplyAsync(picture.Retract("a", purge: true));

        receipt.Announcements.Single().Exchange.ShouldBe("image-unplaced");
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a")} waiting f");
        (await lane.Database.TextsAsync(Purges, picture.ImageId)).ShouldBe([$"{picture.Key("a")} t"]);
        // A look at the store from before, and the owner's own try under the old key, bring nothing back.
        (await lane.ApplyAsync(picture.Confirm("a"))).Outcome.ShouldBe(Outcomes.Superseded);
        (await lane.ApplyAsync(picture.Save("a"))).Outcome.ShouldBe(Outcomes.Rejected);
        (await lane.ApplyAsync(picture.Replace("a"))).Outcome.ShouldBe(Outcomes.Rejected);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a")} waiting f");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Same_bytes_under_the_next_copys_key_show_the_picture_again(bool asReplacement)
    {
        var picture = await SavedAsync();
        await lane.ApplyAsync(picture.Retract("a", purge: true));
        await lane.PlantAsync(picture.Key("a", copy: 2));

        var receipt = asReplacement
            ? await lane.ApplyAsync(picture.Replace("a", copy: 2))
            : await lane.ApplyAsync(picture.Save("a", copy: 2));

        receipt.Outcome.ShouldBe(Outcomes.Applied);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a", copy: 2)} shown f");
    }

    [Fact]
    public async Task Picture_and_copy_of_one_batch_follow_each_other()
    {
        var picture = NewPicture.Any();
        await lane.PlantAsync(picture.Key("a", copy: 2));

        var receipts = await lane.ApplyAllAsync(
            lane.Entry(picture.Save("a")),
            lane.Entry(picture.Save("a", copy: 2)),
            lane.Entry(NewPicture.Any().Save("b"))
        );

        receipts.Select(x => x.Outcome).ShouldBe([Outcomes.TargetMissing, Outcomes.Applied, Outcomes.TargetMissing]);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a", copy: 2)} shown f");
    }

    [Fact]
    public async Task Lost_object_is_waited_for_and_keeps_its_key()
    {
        var picture = await SavedAsync();

        await lane.ApplyAsync(picture.Retract("a"));

        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a")} waiting t");
        (await lane.Database.TextsAsync(Purges, picture.ImageId)).ShouldBeEmpty();
        (await lane.ApplyAsync(picture.Confirm("a"))).Outcome.ShouldBe(Outcomes.Applied);
        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a")} shown f");
    }

    [Fact]
    public async Task Restored_picture_does_not_wait_for_a_key_that_was_given_up()
    {
        var picture = await SavedAsync();
        await lane.ApplyAsync(picture.Retract("a", purge: true));
        await lane.ApplyAsync(picture.Delete());

        await lane.ApplyAsync(picture.Restore());

        (await lane.AskAsync(Shown, picture.ImageId)).ShouldBe($"{picture.Key("a")} waiting f");
    }

    private async Task<NewPicture> SavedAsync()
    {
        var picture = NewPicture.Any();
        await lane.PlantAsync(picture.Key("a"));
        await lane.ApplyAsync(picture.Save("a"));
        return picture;
    }
}
