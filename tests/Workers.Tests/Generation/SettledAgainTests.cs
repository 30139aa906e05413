using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Generation;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>A request whose save has failed may be saved after all: each end is that of the save that it names.</summary>
public sealed class SettledAgainTests(GenerationPipeline pipeline) : IClassFixture<GenerationPipeline>
{
    private const string Away = "the store was away";

    [Fact]
    public async Task Late_copy_of_an_end_does_not_end_the_request_that_was_opened_again()
    {
        var (request, id) = await FailedAsync();
        await pipeline.SendAsync(new RetryGeneration(Guid.NewGuid(), request.ProjectId, id, null));
        await pipeline.UntilAsync(id, "Saving", 1);

        await pipeline.ConsumeAsync(Failed(request, id, Away)); // The second save is on its way.
        (await OutcomeAsync(id)).ShouldBe("open");
        await pipeline.UntilAsync(id, "Saving", 1);

        await pipeline.EndInLaneAsync(Failed(request, id, "the key was purged"));
        await pipeline.ConsumeAsync(Failed(request, id, Away)); // It has failed as well, for its own reason.
        (await OutcomeAsync(id)).ShouldBe("open");

        await pipeline.SendAsync(Failed(request, id, "the key was purged"));
        await pipeline.UntilAsync(id, "Completed", 1);
        (await ReceiptAsync(request.CommandId)).ShouldBe("failed: the key was purged");
    }

    [Fact]
    public async Task Replayed_save_settles_the_request_that_had_failed()
    {
        var (request, id) = await FailedAsync();

        await pipeline.AskAsync(
            """
            update pipeline.receipts s set outcome = 'applied', reason = null, project_version = 7, replays = 1
            from pipeline.generation_targets t
            join pipeline.receipts i on i.command_id = t.import_command_id
            where t.generation_id = $1 and s.command_id = i.follow_up_id
            """,
            id
        );

        await SettledAsync(request, id, "applied");
        await ShouldTellAsync(request, generated: 1);
    }

    [Theory]
    [InlineData("applied", 1)]
    [InlineData("superseded", 0)]
    public async Task Replayed_import_settles_the_request_that_had_failed(string outcome, int generated)
    {
        var (request, id) = await SavingAsync();
        await pipeline.AskAsync(
            """
            insert into pipeline.receipts
                (command_id, scope, project_id, command, request_hash, outcome, reason, announcements, at)
            select import_command_id, project_id, project_id, 'import-image', request_hash, 'failed', $2, '[]', now()
            from pipeline.generation_targets where generation_id = $1
            """,
            id,
            Away
        );
        await pipeline.SendAsync(Failed(request, id, Away));
        await pipeline.UntilAsync(id, "Completed", 1);
        (await ReceiptAsync(request.CommandId)).ShouldBe($"failed: {Away}");

        await pipeline.AskAsync(
            """
            with import as (
                update pipeline.receipts i
                set outcome = 'applied', reason = null, replays = 1, follow_up_id = gen_random_uuid()
                from pipeline.generation_targets t
                where t.generation_id = $1 and i.command_id = t.import_command_id
                returning i.follow_up_id, i.project_id, i.request_hash)
            insert into pipeline.receipts
                (command_id, scope, project_id, command, request_hash, outcome, announcements, at)
            select follow_up_id, project_id, project_id, 'save-image', request_hash, $2, '[]', now() from import
            """,
            id,
            outcome
        );

        await SettledAsync(request, id, outcome);
        await ShouldTellAsync(request, generated);
    }

    private static TargetSettled Failed(GenerateImage request, Guid id, string reason) =>
        new(id, request.ProjectId, request.CommandId, Outcomes.Failed, reason, null);

    /// <summary>A request whose save has failed.</summary>
    private async Task<(GenerateImage Request, Guid Id)> FailedAsync()
    {
        var (request, id) = await SavingAsync();
        await pipeline.SettleAsync(Failed(request, id, Away));
        await pipeline.UntilAsync(id, "Completed", 1);
        return (request, id);
    }

    private async Task<(GenerateImage Request, Guid Id)> SavingAsync()
    {
        var request = GenerationPipeline.NewRequest();
        var id = RequestIdentity.Of(request).GenerationId;
        await pipeline.SendAsync(request);
        await pipeline.UntilAsync(id, "Rendering", 1);
        await pipeline.SendAsync(new RenderSucceeded(id, 1, $"generated/{id}/1.png"));
        await pipeline.UntilAsync(id, "Saving", 1);
        return (request, id);
    }

    /// <summary>Relays what the sweep says until the request has that end.</summary>
    private async Task SettledAsync(GenerateImage request, Guid id, string outcome)
    {
        await Until.TrueAsync(
            outcome,
            async () =>
            {
                await pipeline.PlayAsync<TargetSettled>();
                return await ReceiptAsync(request.CommandId) == outcome;
            }
        );
        (await OutcomeAsync(id)).ShouldBe(outcome);
        await pipeline.UntilAsync(id, "Completed", 1);
    }

    /// <summary>The end of the replay is another event than the failure.</summary>
    private async Task ShouldTellAsync(GenerateImage request, int generated)
    {
        (await pipeline.SentAsync<ImageGenerated>(request.CommandId)).ShouldBe(generated);
        (await pipeline.SentAsync<GenerationEnded>(request.CommandId)).ShouldBe(2 - generated);
        (
            await pipeline.AskAsync(
                """
                select count(distinct message_id) from pipeline.outbox
                where exchange in ('image-generated', 'generation-ended') and convert_from(body, 'UTF8') like $1
                """,
                $"%{request.CommandId}%"
            )
        ).ShouldBe("2");
    }

    private Task<string?> OutcomeAsync(Guid id) =>
        pipeline.AskAsync(
            "select coalesce(outcome, 'open') from pipeline.generation_targets where generation_id = $1",
            id
        );

    private Task<string?> ReceiptAsync(Guid commandId) =>
        pipeline.AskAsync(
            "select concat_ws(': ', outcome, reason) from pipeline.receipts where command_id = $1",
            commandId
        );
}
