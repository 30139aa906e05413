using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>What was generated goes with the last image that needs it: original, prompt and reasons.</summary>
public sealed class GenerationRemovalTests(GenerationPipeline pipeline) : IClassFixture<GenerationPipeline>
{
    private static readonly string Sha = new('a', 64);

    [Fact]
    public async Task Last_purged_image_takes_the_original_and_the_prompt_with_it()
    {
        var first = GenerationPipeline.NewRequest();
        var second = first with { CommandId = Guid.NewGuid(), ProjectId = Guid.NewGuid(), ImageId = Guid.NewGuid() };
        var (id, key) = await SavedAsync(first, second);

        await PurgeImageAsync(first);
        await ReleaseAsync(first.ProjectId, first.ImageId, expected: 1);
        await ConsumedAsync(id, first);
        (await PromptAsync(id)).ShouldBe(first.Prompt); // The other image needs it.
        (await pipeline.SentAsync<RemoveOriginals>(id)).ShouldBe(0);

        await PurgeProjectAsync(second.ProjectId);
        await ReleaseAsync(second.ProjectId, imageId: null, expected: 1);
        await pipeline.UntilAsync(id, "Removing", 1);
        (await PromptAsync(id)).ShouldBe("");
        (await TextsOfAsync(id)).ShouldBe("0"); // From the first commit on, nothing says what was asked for.

        await pipeline.PlayAsync<RemoveOriginals>();
        await Until.TrueAsync("the original is gone", async () => await pipeline.StoredAsync(id) == 0);
        await pipeline.PlayAsync<RemovalEnded>(id);
        await pipeline.UntilAsync(id, "Removed", 1);
        (await pipeline.AskAsync("select count(*) from pipeline.catalog_objects where key = $1", key)).ShouldBe("0");
    }

    [Fact]
    public async Task Request_that_comes_during_the_removal_is_rendered_anew_and_a_late_removal_leaves_its_original()
    {
        var request = GenerationPipeline.NewRequest();
        var (id, _) = await SavedAsync(request);
        await PurgeImageAsync(request);
        await ReleaseAsync(request.ProjectId, request.ImageId, expected: 1);
        await pipeline.UntilAsync(id, "Removing", 1);

        var again = request with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid() };
        await pipeline.SendAsync(again);
        await Until.TrueAsync("the prompt again", async () => await PromptAsync(id) == request.Prompt);
        await pipeline.UntilAsync(id, "Removing", 1);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1); // Nothing is rendered beside the removal.

        await pipeline.PlayAsync<RemoveOriginals>();
        await Until.TrueAsync("the original is gone", async () => await pipeline.StoredAsync(id) == 0);
        await pipeline.PlayAsync<RemovalEnded>(id);
        await pipeline.UntilAsync(id, "Rendering", 2);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(2);

        // The same bytes under the next attempt's key; a removal that was delayed finds nothing of its own.
        var key = ObjectKeys.ForGenerated(id, Sha, "png", attempt: 2);
        await pipeline.Store.PutOnceAsync(key, new byte[] { 1 }, "image/png", default);
        await pipeline.ConsumeAsync(new RemoveOriginals(id, 1));
        (await pipeline.StoredAsync(id)).ShouldBe(1);
    }

    [Fact]
    public async Task Request_after_the_removal_is_rendered_anew()
    {
        var request = GenerationPipeline.NewRequest();
        var (id, _) = await SavedAsync(request);
        await PurgeImageAsync(request);
        await ReleaseAsync(request.ProjectId, request.ImageId, expected: 1);
        await pipeline.UntilAsync(id, "Removing", 1);
        await pipeline.SendAsync(new RemovalEnded(id, 1, Reason: null));
        await pipeline.UntilAsync(id, "Removed", 1);

        await pipeline.SendAsync(request); // The same command: answered again, and nothing comes to life.
        await pipeline.SendAsync(request with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid() });

        await pipeline.UntilAsync(id, "Rendering", 2);
        (await PromptAsync(id)).ShouldBe(request.Prompt);
    }

    [Theory]
    [InlineData(false)] // It is being rendered.
    [InlineData(true)] // Its attempt waits for its time.
    public async Task Purge_of_a_project_ends_its_open_requests_and_stops_the_rendering_that_nobody_waits_for(
        bool waits
    )
    {
        var request = GenerationPipeline.NewRequest();
        var id = await RenderingAsync(request);
        if (waits)
        {
            await pipeline.SendAsync(new RenderPostponed(id, 1, DateTimeOffset.UtcNow.AddHours(1), "busy"));
            await pipeline.UntilAsync(id, "Requested", 1);
        }

        await PurgeProjectAsync(request.ProjectId);
        await ReleaseAsync(request.ProjectId, imageId: null, expected: 1);

        await pipeline.UntilAsync(id, "Removing", 1);
        (await ReceiptAsync(request.CommandId)).ShouldBe("superseded: The project or the image was deleted.");
        (await PromptAsync(id)).ShouldBe("");
        (
            await pipeline.AskAsync("select outcome from pipeline.generation_attempts where generation_id = $1", id)
        ).ShouldBe("removed"); // Whoever begins the attempt finds that it has ended.
    }

    [Fact]
    public async Task Image_that_was_purged_while_it_was_saved_releases_its_generation_when_the_save_ends()
    {
        var request = GenerationPipeline.NewRequest();
        var id = await RenderingAsync(request);
        await pipeline.SendAsync(new RenderSucceeded(id, 1, ObjectKeys.ForGenerated(id, Sha, "png")));
        await pipeline.UntilAsync(id, "Saving", 1);
        await PurgeProjectAsync(request.ProjectId);
        await pipeline.ConsumeAsync(new GenerationReleased(id)); // Too early: the save is owed.
        await pipeline.UntilAsync(id, "Saving", 1);

        await pipeline.SettleAsync(
            new TargetSettled(id, request.ProjectId, request.CommandId, Outcomes.Superseded, "deleted", null)
        );
        await pipeline.UntilAsync(id, "Completed", 1);
        await pipeline.PlayAsync<GenerationReleased>(id);

        await pipeline.UntilAsync(id, "Removing", 1);
    }

    [Fact]
    public async Task Request_for_a_purged_project_is_superseded_and_its_prompt_is_kept_nowhere()
    {
        var request = GenerationPipeline.NewRequest();
        await PurgeProjectAsync(request.ProjectId);

        await pipeline.SendAsync(request);

        await Until.TrueAsync(
            "the answer",
            async () => await ReceiptAsync(request.CommandId) == "superseded: The project or the image was deleted."
        );
        var id = RequestIdentity.Of(request).GenerationId;
        (
            await pipeline.AskAsync("select count(*) from pipeline.generation_requests where correlation_id = $1", id)
        ).ShouldBe("0");
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(0);
        (await pipeline.SentAsync<GenerationEnded>(request.CommandId)).ShouldBe(1);
    }

    [Fact]
    public async Task Removal_that_fails_says_why_and_is_sent_again()
    {
        var request = GenerationPipeline.NewRequest();
        var (id, _) = await SavedAsync(request);
        await PurgeImageAsync(request);
        await ReleaseAsync(request.ProjectId, request.ImageId, expected: 1);
        await pipeline.UntilAsync(id, "Removing", 1);

        await pipeline.SendAsync(new RemovalEnded(id, 1, "The store does not answer."));
        await Until.TrueAsync(
            "the reason",
            async () =>
                await pipeline.AskAsync(
                    "select failure_reason from pipeline.generation_requests where correlation_id = $1",
                    id
                ) == "The store does not answer."
        );
        await pipeline.AskAsync(
            "update pipeline.generation_requests set due_at = now() where correlation_id = $1 returning 1",
            id
        );
        await Until.TrueAsync("the sweep", async () => await pipeline.SentAsync<RenderDue>(id) == 1);
        await pipeline.SendAsync(new RenderDue(id, 1));
        await Until.TrueAsync("the second try", async () => await pipeline.SentAsync<RemoveOriginals>(id) == 2);
    }

    private async Task<Guid> RenderingAsync(params GenerateImage[] requests)
    {
        foreach (var request in requests)
            await pipeline.SendAsync(request);
        var id = RequestIdentity.Of(requests[0]).GenerationId;
        await pipeline.UntilAsync(id, "Rendering", 1);
        await Until.TrueAsync(
            "the targets",
            async () =>
                await pipeline.AskAsync("select count(*) from pipeline.generation_targets where generation_id = $1", id)
                == $"{requests.Length}"
        );
        return id;
    }

    /// <summary>Images that are saved, with an original in the store.</summary>
    private async Task<(Guid Id, string Key)> SavedAsync(params GenerateImage[] requests)
    {
        var id = await RenderingAsync(requests);
        var key = ObjectKeys.ForGenerated(id, Sha, "png");
        await pipeline.Store.PutOnceAsync(key, new byte[] { 1 }, "image/png", default);
        await pipeline.AskAsync(
            """
            insert into pipeline.generation_attempts (generation_id, attempt, outcome, reason, object_key, ended_at)
            values ($1, 1, 'succeeded', 'says what was asked for', $2, now()) returning 1
            """,
            id,
            key
        );
        await pipeline.SendAsync(new RenderSucceeded(id, 1, key));
        await pipeline.UntilAsync(id, "Saving", 1);
        foreach (var request in requests)
            await pipeline.SettleAsync(
                new TargetSettled(id, request.ProjectId, request.CommandId, Outcomes.Applied, null, 1)
            );
        await pipeline.UntilAsync(id, "Completed", 1);
        return (id, key);
    }

    /// <summary>As the deletion's saga leaves it when its purge begins.</summary>
    private async Task PurgeProjectAsync(Guid projectId) =>
        await pipeline.AskAsync(
            """
            insert into pipeline.projects (id, created_at, updated_at, deleted_at, purge_started_at)
            values ($1, now(), now(), now(), now()) returning 1
            """,
            projectId
        );

    private async Task PurgeImageAsync(GenerateImage request) =>
        await pipeline.AskAsync(
            """
            with p as (
                insert into pipeline.projects (id, created_at, updated_at) values ($1, now(), now()) returning id)
            insert into pipeline.images
                (id, project_id, slot, version, object_key, sha256, content_type, byte_length, width, height, object_seen,
                 placed, project_version, saved_at, updated_at, deleted_at, purge_started_at)
            select $2, id, 0, 1, 'projects/x', $3, 'image/png', 1, 1, 1, true, true, 1, now(), now(), now(), now() from p
            returning 1
            """,
            request.ProjectId,
            request.ImageId,
            Sha
        );

    /// <summary>Sends what the deletion's saga sends, and hands on what is found.</summary>
    private async Task ReleaseAsync(Guid projectId, Guid? imageId, int expected)
    {
        await pipeline.ConsumeAsync(new ReleaseGenerated(projectId, imageId));
        (await pipeline.PlayAsync<GenerationReleased>()).ShouldBe(expected);
    }

    private Task ConsumedAsync(Guid id, GenerateImage request) =>
        Until.TrueAsync(
            "the request is released",
            async () =>
                await pipeline.AskAsync(
                    "select released_at from pipeline.generation_targets where generation_id = $1 and command_id = $2",
                    id,
                    request.CommandId
                )
                    is not null
        );

    private Task<string?> PromptAsync(Guid id) =>
        pipeline.AskAsync("select prompt from pipeline.generation_requests where correlation_id = $1", id);

    /// <summary>What else could tell what was asked for.</summary>
    private Task<string?> TextsOfAsync(Guid id) =>
        pipeline.AskAsync(
            """
            select (select count(*) from pipeline.generation_attempts a
                    where a.generation_id = $1 and (a.reason is not null or a.object_key is not null))
                + (select count(*) from pipeline.generation_requests g
                   where g.correlation_id = $1 and (g.failure_reason is not null or g.options is not null))
                + (select count(*) from pipeline.generation_targets t
                   where t.generation_id = $1 and t.scene_id is not null)
            """,
            id
        );

    private Task<string?> ReceiptAsync(Guid commandId) =>
        pipeline.AskAsync(
            "select concat_ws(': ', outcome, reason) from pipeline.receipts where command_id = $1",
            commandId
        );
}
