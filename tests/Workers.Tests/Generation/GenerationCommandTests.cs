using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Generation;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>A person's command to a generation takes effect once, however often it comes.</summary>
public sealed class GenerationCommandTests(GenerationPipeline pipeline) : IClassFixture<GenerationPipeline>
{
    [Fact]
    public async Task A_retry_that_comes_again_after_the_generation_was_cancelled_does_not_render_again()
    {
        var (project, id) = await BeginAsync();
        await pipeline.SendAsync(new CancelGeneration(Guid.NewGuid(), project, id, null));
        await pipeline.UntilAsync(id, "Cancelled", 1);
        var retry = new RetryGeneration(Guid.NewGuid(), project, id, null);
        await pipeline.SendAsync(retry);
        await pipeline.UntilAsync(id, "Rendering", 2);
        await pipeline.SendAsync(new CancelGeneration(Guid.NewGuid(), project, id, null));
        await pipeline.UntilAsync(id, "Cancelled", 2);

        await pipeline.ConsumeAsync(retry);

        await pipeline.UntilAsync(id, "Cancelled", 2);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(2);
    }

    [Fact]
    public async Task A_cancellation_that_comes_again_after_a_retry_does_not_cancel_the_retry()
    {
        var (project, id) = await BeginAsync();
        var cancel = new CancelGeneration(Guid.NewGuid(), project, id, null);
        await pipeline.SendAsync(cancel);
        await pipeline.UntilAsync(id, "Cancelled", 1);
        await pipeline.SendAsync(new RetryGeneration(Guid.NewGuid(), project, id, null));
        await pipeline.UntilAsync(id, "Rendering", 2);

        await pipeline.ConsumeAsync(cancel);

        await pipeline.UntilAsync(id, "Rendering", 2);
    }

    [Fact]
    public async Task A_used_id_with_another_generation_is_refused_and_has_no_effect_on_it()
    {
        var (project, first) = await BeginAsync();
        var (_, second) = await BeginAsync();
        var cancel = new CancelGeneration(Guid.NewGuid(), project, first, null);
        await pipeline.SendAsync(cancel);
        await pipeline.UntilAsync(first, "Cancelled", 1);

        await pipeline.SendAsync(cancel with { GenerationId = second });
        await Until.TrueAsync(
            "the refusal",
            async () => await pipeline.SentAsync<CommandRejected>(cancel.CommandId) == 1
        );

        await pipeline.UntilAsync(second, "Rendering", 1);
        (
            await pipeline.AskAsync(
                "select count(*) from pipeline.receipt_conflicts where command_id = $1",
                cancel.CommandId
            )
        ).ShouldBe("1");
    }

    /// <summary>Behind the hand-over to the saga, too, a failure is the command's.</summary>
    [Fact]
    public async Task A_request_that_its_saga_cannot_take_in_has_failed_and_its_replay_is_taken_in()
    {
        await pipeline.AskAsync(
            """
            create function public.refuse_slot() returns trigger language plpgsql as
                $$ begin raise exception 'slot 7 is refused'; end $$;
            create trigger refuse_slot before insert on pipeline.generation_targets
                for each row when (new.slot = 7) execute function public.refuse_slot();
            """
        );
        var request = GenerationPipeline.NewRequest() with { Slot = 7 };
        await pipeline.SendAsync(request);
        await Until.TrueAsync(
            "the failed receipt",
            async () => await ReceiptAsync(request) == "failed: PostgresException: P0001: slot 7 is refused"
        );
        (await pipeline.SentAsync<CommandFailed>(request.CommandId)).ShouldBe(1);

        await pipeline.ReplayAsync(request, replays: 1); // Fails again, with that count in the saga's message.
        await Until.TrueAsync(
            "the second failure",
            async () => await pipeline.SentAsync<CommandFailed>(request.CommandId) == 2
        );

        await pipeline.AskAsync("drop function public.refuse_slot() cascade");
        await pipeline.ConsumeAsync(request); // Sent again, it has its answer.
        (await ReceiptAsync(request)).ShouldNotBeNull().ShouldStartWith("failed: ");
        var (id, hash) = (RequestIdentity.Of(request).GenerationId, RequestIdentity.Of(request).Hash);
        await pipeline.ReplayAsync(new RequestGeneration(id, hash, request, Replays: 1), replays: 1);
        await pipeline.UntilAsync(id, "Rendering", 1);
    }

    private Task<string?> ReceiptAsync(GenerateImage request) =>
        pipeline.AskAsync(
            "select concat(outcome, ': ', reason) from pipeline.receipts where command_id = $1",
            request.CommandId
        );

    private async Task<(Guid Project, Guid Id)> BeginAsync()
    {
        var request = GenerationPipeline.NewRequest();
        var id = RequestIdentity.Of(request).GenerationId;
        await pipeline.SendAsync(request);
        await pipeline.UntilAsync(id, "Rendering", 1);
        return (request.ProjectId, id);
    }
}
