using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Workers.Deleting;
using Pipeline.Workers.Reconciling;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Deleting;

/// <summary>A command that failed needs its object until its replay, for days: neither purge nor repair takes it.</summary>
public sealed class HeldObjectTests(LaneBench lane) : IClassFixture<LaneBench>
{
    private const string Discard = """
        insert into pipeline.dead_letter_actions
            (action_id, run_id, action, queue, message_id, project_id, replays, done_by, begun_at, done_at)
        values (gen_random_uuid(), gen_random_uuid(), 'discard', 'project-lane-00_error', $1::text, $2, 0, 'jane', now(), now())
        """;

    [Fact]
    public async Task Bytes_of_a_failed_replacement_are_not_purged_and_its_replay_shows_them()
    {
        var (picture, back) = await FailedReturnAsync();

        (await BeginPurgeAsync(picture, "a")).ShouldBe(PurgeBeginning.Kinds.Held);

        (await lane.ReplayAsync(back)).Outcome.ShouldBe(Outcomes.Applied);
        (await BeginPurgeAsync(picture, "a")).ShouldBe(PurgeBeginning.Kinds.TakenBack);
    }

    [Fact]
    public async Task Discarded_dead_letter_holds_nothing()
    {
        var (picture, back) = await FailedReturnAsync();
        await lane.Database.ExecuteAsync(Discard, back.CommandId.ToString(), picture.ProjectId);

        (await BeginPurgeAsync(picture, "a")).ShouldBe(PurgeBeginning.Kinds.Begun);

        (await lane.ReplayAsync(back)).Outcome.ShouldBe(Outcomes.Rejected);
    }

    [Fact]
    public async Task Nothing_is_held_for_a_picture_that_is_purged()
    {
        var (picture, _) = await FailedReturnAsync();
        await lane.Database.ExecuteAsync(
            "update pipeline.images set deleted_at = now(), purge_started_at = now() where id = $1",
            picture.ImageId
        );

        (await BeginPurgeAsync(picture, "a")).ShouldBe(PurgeBeginning.Kinds.Begun);
    }

    [Fact]
    public async Task Bytes_that_were_shown_twice_go_with_the_later_of_their_deletions()
    {
        var picture = NewPicture.Any();
        await lane.PlantAsync(picture.Key("a"), picture.Key("b"));
        await lane.ApplyAsync(picture.Save("a"));
        await lane.ApplyAsync(picture.Replace("b"));
        var first = await DeletionAsync(picture, "a");
        await lane.ApplyAsync(picture.Replace("a"));
        await lane.ApplyAsync(picture.Replace("b"));
        var second = Guid.Parse(
            await lane.AskAsync(
                "select correlation_id from pipeline.deletions where object_key = $1 and correlation_id <> $2",
                picture.Key("a"),
                first
            )
        );
        var later = DateTimeOffset.UtcNow.AddDays(4);
        await lane.Database.ExecuteAsync(
            "update pipeline.deletions set due_at = $1 where correlation_id = $2",
            later,
            second
        );

        var early = await BeginPurgeAsync(picture, "a", first, later.AddDays(-1));
        early.Kind.ShouldBe(PurgeBeginning.Kinds.Held);
        early.HeldUntil!.Value.ShouldBe(later, TimeSpan.FromMilliseconds(1));
        (await BeginPurgeAsync(picture, "a", second, later)).Kind.ShouldBe(PurgeBeginning.Kinds.Begun);
    }

    [Fact]
    public async Task Object_of_a_failed_save_is_no_orphan()
    {
        var picture = NewPicture.Any();
        var save = picture.Save("a");
        (await IsClaimedAsync(picture)).ShouldBeFalse();

        await lane.FailAsync(save);
        (await IsClaimedAsync(picture)).ShouldBeTrue();

        await lane.Database.ExecuteAsync(Discard, save.CommandId.ToString(), picture.ProjectId);
        (await IsClaimedAsync(picture)).ShouldBeFalse();
    }

    /// <summary>A picture that shows "b" and was to show "a" again; the command failed, and the purge of "a" is due.</summary>
    private async Task<(NewPicture Picture, ReplaceImage Back)> FailedReturnAsync()
    {
        var picture = NewPicture.Any();
        await lane.PlantAsync(picture.Key("a"), picture.Key("b"));
        await lane.ApplyAsync(picture.Save("a"));
        await lane.ApplyAsync(picture.Replace("b"));
        var back = picture.Replace("a");
        await lane.FailAsync(back);
        return (picture, back);
    }

    private async Task<PurgeBeginning.Kinds> BeginPurgeAsync(NewPicture picture, string bytes)
    {
        var deletion = await DeletionAsync(picture, bytes);
        return (await BeginPurgeAsync(picture, bytes, deletion, DateTimeOffset.UtcNow.AddDays(3))).Kind;
    }

    private async Task<Guid> DeletionAsync(NewPicture picture, string bytes) =>
        Guid.Parse(
            await lane.AskAsync(
                "select correlation_id from pipeline.deletions where object_key = $1 and kind = 'object'",
                picture.Key(bytes)
            )
        );

    private async Task<PurgeBeginning> BeginPurgeAsync(
        NewPicture picture,
        string bytes,
        Guid deletionId,
        DateTimeOffset now
    )
    {
        await using var db = lane.Database.NewContext();
        await using var transaction = await db.Database.BeginTransactionAsync();
        var deletion = new DeletionSaga
        {
            CorrelationId = deletionId,
            Kind = DeletionSaga.Object,
            ProjectId = picture.ProjectId,
            ImageId = picture.ImageId,
            ObjectKey = picture.Key(bytes),
            CreatedAt = now.AddDays(-3),
        };
        var beginning = await PurgeBeginning.OfAsync(db, deletion, now, default);
        await transaction.CommitAsync();
        return beginning;
    }

    private async Task<bool> IsClaimedAsync(NewPicture picture) =>
        (await new KnownKeys(lane.Database.Source).OfAsync([picture.Key("a")], DateTimeOffset.UtcNow, default))[
            0
        ].IsClaimed;
}
