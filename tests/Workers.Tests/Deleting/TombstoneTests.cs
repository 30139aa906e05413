using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Storyboards;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Deleting;

public sealed class TombstoneTests(LaneBench lane) : IClassFixture<LaneBench>
{
    private const string State = "select state from status.images where id = $1";
    private const string Document = "select document::text from status.project_documents where project_id = $1";
    private const string Projects = "select count(*) from status.projects where id = $1";

    private const string Deletions = """
        select concat(kind, ' ', current_state, ' ', due_at <= now() + interval '1 minute') from pipeline.deletions
        where project_id = $1 order by created_at, kind
        """;

    [Fact]
    public async Task Deleted_picture_is_out_of_every_view_and_its_purge_has_begun_in_the_same_commit()
    {
        var picture = await SavedAsync();

        var receipt = await lane.ApplyAsync(picture.Delete());

        (receipt.Outcome, receipt.ProjectVersion).ShouldBe((Outcomes.Applied, 2));
        receipt.Announcements.Single().Exchange.ShouldBe("image-tombstoned");
        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("deleted");
        (await lane.AskAsync(Document, picture.ProjectId)).ShouldNotContain(picture.ImageId.ToString());
        (await lane.Database.TextsAsync(Deletions, picture.ProjectId)).ShouldBe(["image Tombstoned t"]);
    }

    [Fact]
    public async Task Second_deletion_changes_nothing_and_succeeds()
    {
        var picture = await SavedAsync();
        await lane.ApplyAsync(picture.Delete());

        var again = await lane.ApplyAsync(picture.Delete());
        var unknown = await lane.ApplyAsync(picture.Delete() with { ImageId = Guid.NewGuid() });

        (again.Outcome, again.ProjectVersion).ShouldBe((Outcomes.Unchanged, null));
        unknown.Outcome.ShouldBe(Outcomes.Unchanged);
        (await lane.Database.TextsAsync(Deletions, picture.ProjectId)).Count.ShouldBe(1);
    }

    [Fact]
    public async Task What_comes_late_for_a_deleted_picture_is_superseded_and_its_bytes_go_too()
    {
        var picture = await SavedAsync();

        var receipts = await lane.ApplyAllAsync(
            lane.Entry(picture.Delete()),
            lane.Entry(picture.Save("b")),
            lane.Entry(picture.Replace("c")),
            lane.Entry(picture.Confirm("a"))
        );

        receipts.Skip(1).ShouldAllBe(x => x.Outcome == Outcomes.Superseded);
        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("deleted");
        (await lane.Database.TextsAsync(Deletions, picture.ProjectId)).ShouldBe([
            "image Tombstoned t",
            "object Tombstoned t",
            "object Tombstoned t",
        ]);
    }

    [Fact]
    public async Task Deleted_project_is_out_of_every_view_and_nothing_brings_it_back()
    {
        var picture = await SavedAsync();
        var scenes = new DefineScenes(
            Guid.NewGuid(),
            picture.ProjectId,
            [new SceneDefinition("scene-1", 1, Prompt: null)]
        );

        var receipts = await lane.ApplyAllAsync(
            lane.Entry(picture.DeleteProject()),
            lane.Entry(picture.Save("a") with { ImageId = picture.ImageId }),
            lane.Entry(new NewPicture(picture.ProjectId, Guid.NewGuid()).Save("a")),
            lane.Entry(scenes),
            lane.Entry(picture.Replace("b")),
            lane.Entry(picture.Restore())
        );

        receipts[0].Outcome.ShouldBe(Outcomes.Applied);
        receipts[0].Announcements.Single().Exchange.ShouldBe("project-tombstoned");
        receipts.Skip(1).ShouldAllBe(x => x.Outcome == Outcomes.Superseded);
        (await lane.ApplyAsync(picture.Delete())).Outcome.ShouldBe(Outcomes.Unchanged);
        (await lane.ApplyAsync(picture.DeleteProject())).Outcome.ShouldBe(Outcomes.Unchanged);
        (await lane.AskAsync(Projects, picture.ProjectId)).ShouldBe("0");
        (await lane.Database.TextsAsync(Document, picture.ProjectId)).ShouldBeEmpty();
        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("deleted");
    }

    [Fact]
    public async Task Project_that_is_not_there_yet_stays_deleted_for_what_is_on_its_way_to_it()
    {
        var picture = NewPicture.Any();

        (await lane.ApplyAsync(picture.DeleteProject())).Outcome.ShouldBe(Outcomes.Applied);

        (await lane.ApplyAsync(picture.Save("a"))).Outcome.ShouldBe(Outcomes.Superseded);
        (await lane.AskAsync("select count(*) from status.images where id = $1", picture.ImageId)).ShouldBe("0");
    }

    [Fact]
    public async Task Restored_picture_is_shown_again_and_can_be_deleted_again()
    {
        var picture = await SavedAsync();
        await lane.ApplyAsync(picture.Delete());

        var restored = await lane.ApplyAsync(picture.Restore());

        (restored.Outcome, restored.ProjectVersion).ShouldBe((Outcomes.Applied, 3));
        restored.Announcements.Single().Exchange.ShouldBe("image-saved");
        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("shown");
        (await lane.ApplyAsync(picture.Restore())).Outcome.ShouldBe(Outcomes.Unchanged);
        (await lane.ApplyAsync(picture.Delete())).Outcome.ShouldBe(Outcomes.Applied);
    }

    [Fact]
    public async Task Picture_whose_purge_has_begun_is_not_restored()
    {
        var picture = await SavedAsync();
        await lane.ApplyAsync(picture.Delete());
        await lane.Database.ExecuteAsync(
            "update pipeline.images set purge_started_at = now() where id = $1",
            picture.ImageId
        );

        (await lane.ApplyAsync(picture.Restore())).Outcome.ShouldBe(Outcomes.Superseded);

        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("deleted");
    }

    [Fact]
    public async Task Restored_picture_waits_where_its_scene_has_gone()
    {
        var picture = NewPicture.Any();
        await lane.PlantAsync(picture.Key("a"));
        await DefineAsync(picture, "scene-1");
        await lane.ApplyAsync(picture.Save("a", "scene-1"));
        await lane.ApplyAsync(picture.Delete());
        await DefineAsync(picture, "scene-2");

        var restored = await lane.ApplyAsync(picture.Restore());

        restored.Announcements.Single().Exchange.ShouldBe("image-unplaced");
        (
            await lane.AskAsync(
                "select concat(state, ' ', waits_for) from status.images where id = $1",
                picture.ImageId
            )
        ).ShouldBe("waiting scene");
        await DefineAsync(picture, "scene-1");
        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("shown");
    }

    [Fact]
    public async Task Restored_project_has_the_pictures_that_went_with_it_and_no_others()
    {
        var picture = await SavedAsync();
        var other = new NewPicture(picture.ProjectId, Guid.NewGuid());
        await lane.PlantAsync(other.Key("a"));
        await lane.ApplyAsync(other.Save("a"));
        await lane.ApplyAsync(other.Delete());
        await lane.ApplyAsync(picture.DeleteProject());

        var restored = await lane.ApplyAsync(picture.RestoreProject());

        restored.Announcements.Select(x => x.Exchange).ShouldBe(["project-restored", "image-saved"]);
        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("shown");
        (await lane.AskAsync(State, other.ImageId)).ShouldBe("deleted");
        (await lane.AskAsync(Document, picture.ProjectId)).ShouldContain($"/images/{picture.ImageId}/1");
        (await lane.ApplyAsync(picture.RestoreProject())).Outcome.ShouldBe(Outcomes.Unchanged);
    }

    private Task<LaneReceipt> DefineAsync(NewPicture picture, string scene) =>
        lane.ApplyAsync(
            new DefineScenes(Guid.NewGuid(), picture.ProjectId, [new SceneDefinition(scene, 1, Prompt: null)])
        );

    private async Task<NewPicture> SavedAsync()
    {
        var picture = NewPicture.Any();
        await lane.PlantAsync(picture.Key("a"));
        (await lane.ApplyAsync(picture.Save("a"))).Outcome.ShouldBe(Outcomes.Applied);
        return picture;
    }
}
