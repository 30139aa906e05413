using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Deleting;

/// <summary>A deletion or restoration that failed and is replayed after a newer one changes nothing.</summary>
public sealed class ReplayedLifecycleTests(LaneBench lane) : IClassFixture<LaneBench>
{
    private const string State = "select state from status.images where id = $1";

    [Fact]
    public async Task Failed_deletion_does_not_delete_what_was_restored_since()
    {
        var picture = await SavedAsync();
        var failed = picture.Delete();
        await lane.FailAsync(failed);
        await lane.ApplyAsync(picture.Delete());
        await lane.ApplyAsync(picture.Restore());

        (await lane.ReplayAsync(failed)).Outcome.ShouldBe(Outcomes.Superseded);

        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("shown");
        (await lane.ApplyAsync(picture.Delete())).Outcome.ShouldBe(Outcomes.Applied);
    }

    [Fact]
    public async Task Restoration_that_had_nothing_to_restore_is_a_newer_word_too()
    {
        var picture = await SavedAsync();
        var failed = picture.Delete();
        await lane.FailAsync(failed);
        (await lane.ApplyAsync(picture.Restore())).Outcome.ShouldBe(Outcomes.Unchanged);

        (await lane.ReplayAsync(failed)).Outcome.ShouldBe(Outcomes.Superseded);

        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("shown");
    }

    [Fact]
    public async Task Failed_restoration_does_not_bring_back_what_was_deleted_since()
    {
        var picture = await SavedAsync();
        await lane.ApplyAsync(picture.Delete());
        var failed = picture.Restore();
        await lane.FailAsync(failed);
        (await lane.ApplyAsync(picture.Delete())).Outcome.ShouldBe(Outcomes.Unchanged);

        (await lane.ReplayAsync(failed)).Outcome.ShouldBe(Outcomes.Superseded);

        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("deleted");
    }

    [Fact]
    public async Task Deletion_that_failed_before_the_picture_was_saved_does_not_delete_it()
    {
        var picture = NewPicture.Any();
        var failed = picture.Delete();
        await lane.FailAsync(failed);
        await lane.PlantAsync(picture.Key("a"), picture.Key("b"));
        await lane.ApplyAsync(picture.Save("a"));
        await lane.ApplyAsync(picture.Replace("b"));

        (await lane.ReplayAsync(failed)).Outcome.ShouldBe(Outcomes.Superseded);

        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("shown");
    }

    [Fact]
    public async Task Failed_deletion_after_which_nobody_has_said_a_word_deletes()
    {
        var picture = await SavedAsync();
        var failed = picture.Delete();
        await lane.FailAsync(failed);
        await lane.PlantAsync(picture.Key("b"));
        await lane.ApplyAsync(picture.Replace("b")); // In the order of the lane it would have come to nothing.

        (await lane.ReplayAsync(failed)).Outcome.ShouldBe(Outcomes.Applied);

        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("deleted");
    }

    [Fact]
    public async Task Projects_follow_the_same_order()
    {
        var picture = await SavedAsync();
        var deletion = picture.DeleteProject();
        await lane.FailAsync(deletion);
        (await lane.ApplyAsync(picture.RestoreProject())).Outcome.ShouldBe(Outcomes.Unchanged);
        (await lane.ReplayAsync(deletion)).Outcome.ShouldBe(Outcomes.Superseded);
        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("shown");

        await lane.ApplyAsync(picture.DeleteProject());
        var restoration = picture.RestoreProject();
        await lane.FailAsync(restoration);
        (await lane.ApplyAsync(picture.DeleteProject())).Outcome.ShouldBe(Outcomes.Unchanged);
        (await lane.ReplayAsync(restoration)).Outcome.ShouldBe(Outcomes.Superseded);
        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("deleted");
        (await lane.ApplyAsync(picture.RestoreProject())).Outcome.ShouldBe(Outcomes.Applied);
        (await lane.AskAsync(State, picture.ImageId)).ShouldBe("shown");
    }

    private async Task<NewPicture> SavedAsync()
    {
        var picture = NewPicture.Any();
        await lane.PlantAsync(picture.Key("a"));
        await lane.ApplyAsync(picture.Save("a"));
        return picture;
    }
}
