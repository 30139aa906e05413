using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Generation;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>What comes twice, too late, or after a person has mended something: nothing is rendered for nobody.</summary>
public sealed class GenerationResendTests(GenerationPipeline pipeline) : IClassFixture<GenerationPipeline>
{
    [Fact]
    public async Task Request_sent_again_after_its_picture_is_answered_again_and_changes_nothing()
    {
        var (request, id) = await BeginAsync();
        await pipeline.SendAsync(new RenderSucceeded(id, 1, $"generated/{id}/1.png"));
        await pipeline.UntilAsync(id, "Saving", 1);
        await pipeline.SettleAsync(
            new TargetSettled(id, request.ProjectId, request.CommandId, Outcomes.Applied, null, 1)
        );
        await pipeline.UntilAsync(id, "Completed", 1);

        await pipeline.SendAsync(request);
        await Until.TrueAsync(
            "the answer again",
            async () => await pipeline.SentAsync<ImageGenerated>(request.CommandId) == 2
        );

        await pipeline.UntilAsync(id, "Completed", 1);
        (await pipeline.SentAsync<ImportImage>(id)).ShouldBe(1);
    }

    [Theory]
    [InlineData("Abandoned")]
    [InlineData("Cancelled")]
    public async Task Request_sent_again_after_it_ended_without_a_picture_is_not_rendered(string state)
    {
        var (request, id) = await BeginAsync();
        if (state == "Abandoned")
            await pipeline.AskAsync(
                "update pipeline.generation_requests set deadline_at = now() where correlation_id = $1",
                id
            );
        await (
            state == "Cancelled"
                ? pipeline.SendAsync(new CancelGeneration(Guid.NewGuid(), request.ProjectId, id, null))
                : pipeline.SendAsync(new GenerationDeadlinePassed(id, 1))
        );
        await pipeline.UntilAsync(id, state, 1);

        await pipeline.SendAsync(request);
        await Until.TrueAsync(
            "the answer again",
            async () => await pipeline.SentAsync<GenerationEnded>(request.CommandId) == 2
        );

        await pipeline.UntilAsync(id, state, 1);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1);
    }

    [Fact]
    public async Task Another_picture_under_a_used_id_is_refused_and_never_rendered()
    {
        var (request, _) = await BeginAsync();
        var other = request with { Prompt = $"A blue whale {Guid.NewGuid()}", Deadline = null };
        var otherId = RequestIdentity.Of(other).GenerationId;

        await pipeline.SendAsync(other);
        await Until.TrueAsync(
            "the refusal",
            async () => await pipeline.SentAsync<CommandRejected>(request.CommandId) == 1
        );

        (await pipeline.SentAsync<RenderImage>(otherId)).ShouldBe(0);
        (await StateAsync(otherId)).ShouldBeNull();
        (
            await pipeline.AskAsync(
                "select count(*) from pipeline.receipt_conflicts where command_id = $1",
                request.CommandId
            )
        ).ShouldBe("1");
        // Whoever asks for that picture under an id of their own has it rendered.
        await pipeline.SendAsync(other with { CommandId = Guid.NewGuid() });
        await pipeline.UntilAsync(otherId, "Rendering", 1);
    }

    [Fact]
    public async Task Request_delivered_again_after_its_deadline_is_not_refused_by_the_rule_that_it_kept_at_first()
    {
        var request = GenerationPipeline.NewRequest() with { Deadline = DateTimeOffset.UtcNow.AddDays(-1) };
        var id = RequestIdentity.Of(request).GenerationId;
        await pipeline.AskAsync(
            """
            insert into pipeline.generation_targets
                (command_id, generation_id, project_id, image_id, slot, request_hash, created_at)
            values ($1, $2, $3, $4, 0, sha256($5), now()) returning 1
            """,
            request.CommandId,
            id,
            request.ProjectId,
            request.ImageId,
            WireJson.Write(request)
        );

        await pipeline.SendAsync(request);

        await Until.TrueAsync("the saga has it", async () => await StateAsync(id) is not null);
        (await ReceiptAsync(request.CommandId)).ShouldBeNull();
    }

    [Fact]
    public async Task Retry_after_the_deadline_begins_anew_without_it()
    {
        var (request, id) = await BeginAsync(DateTimeOffset.UtcNow.AddHours(1));
        await pipeline.AskAsync(
            """
            with own as (update pipeline.generation_targets set deadline_at = now() where generation_id = $1)
            update pipeline.generation_requests set deadline_at = now() where correlation_id = $1 returning 1
            """,
            id
        );
        await Until.TrueAsync("the deadline", async () => await pipeline.SentAsync<GenerationDeadlinePassed>(id) >= 1);
        await pipeline.SendAsync(new GenerationDeadlinePassed(id, 1));
        await pipeline.UntilAsync(id, "Abandoned", 1);
        (await ReceiptAsync(request.CommandId)).ShouldNotBeNull().ShouldStartWith("failed: The deadline passed");

        await pipeline.SendAsync(new RetryGeneration(Guid.NewGuid(), request.ProjectId, id, null));

        await pipeline.UntilAsync(id, "Rendering", 2);
        (
            await pipeline.AskAsync(
                "select coalesce(deadline_at::text, 'none') from pipeline.generation_requests where correlation_id = $1",
                id
            )
        ).ShouldBe("none");
    }

    [Fact]
    public async Task Deadline_does_not_end_an_attempt_that_is_rendered()
    {
        var (_, rendered) = await BeginAsync(DateTimeOffset.UtcNow.AddHours(1));
        var (_, waiting) = await BeginAsync(DateTimeOffset.UtcNow.AddHours(1));
        await pipeline.AskAsync(
            """
            insert into pipeline.generation_attempts (generation_id, attempt, outcome, ended_at)
            values ($1, 1, 'succeeded', now()) returning 1
            """,
            rendered
        );

        // In one statement, so that no sweep sees one of them only.
        await pipeline.AskAsync(
            "update pipeline.generation_requests set deadline_at = now() where correlation_id in ($1, $2) returning 1",
            rendered,
            waiting
        );
        await Until.TrueAsync(
            "the other's deadline",
            async () => await pipeline.SentAsync<GenerationDeadlinePassed>(waiting) >= 1
        );

        (await pipeline.SentAsync<GenerationDeadlinePassed>(rendered)).ShouldBe(0);
    }

    [Fact]
    public async Task Refusal_of_whoever_asks_ends_as_failed_and_the_same_request_may_be_made_again()
    {
        var (request, id) = await BeginAsync();
        await pipeline.SendAsync(new RenderFailed(id, 1, RenderFailureKinds.Refused, "429 insufficient_quota", null));
        await pipeline.UntilAsync(id, "Abandoned", 1);
        (await ReceiptAsync(request.CommandId)).ShouldBe("failed: 429 insufficient_quota");
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1);

        // The bill is paid.
        await pipeline.SendAsync(request with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid() });
        await pipeline.UntilAsync(id, "Rendering", 2);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(2);
    }

    private async Task<(GenerateImage Request, Guid Id)> BeginAsync(DateTimeOffset? deadline = null)
    {
        var request = GenerationPipeline.NewRequest() with { Deadline = deadline };
        var id = RequestIdentity.Of(request).GenerationId;
        await pipeline.SendAsync(request);
        await pipeline.UntilAsync(id, "Rendering", 1);
        return (request, id);
    }

    private Task<string?> StateAsync(Guid id) =>
        pipeline.AskAsync("select current_state from pipeline.generation_requests where correlation_id = $1", id);

    private Task<string?> ReceiptAsync(Guid commandId) =>
        pipeline.AskAsync(
            "select concat_ws(': ', outcome, reason) from pipeline.receipts where command_id = $1",
            commandId
        );
}
