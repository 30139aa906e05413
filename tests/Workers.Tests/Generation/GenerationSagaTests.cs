using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Generation;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

public sealed class GenerationSagaTests(GenerationPipeline pipeline) : IClassFixture<GenerationPipeline>
{
    [Fact]
    public async Task Identical_requests_at_once_are_one_row_one_rendering_and_an_import_for_each()
    {
        const int Requests = 50;
        var earlier = await pipeline.DeadLettersAsync();
        var first = GenerationPipeline.NewRequest();
        var requests = Enumerable
            .Range(0, Requests)
            .Select(x => first with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid(), Slot = x })
            .ToArray();
        var id = RequestIdentity.Of(first).GenerationId;

        await Task.WhenAll(requests.Select(x => pipeline.SendAsync(x).AsTask()));
        // The front hands over with the publisher; the saga takes all of them.
        await Until.TrueAsync("50 targets", async () => await TargetsAsync(id) == Requests);

        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1);
        await pipeline.SendAsync(new RenderSucceeded(id, Attempt: 1, $"generated/{id}/{new string('a', 64)}.png"));
        await pipeline.UntilAsync(id, "Saving", 1);
        (await pipeline.SentAsync<ImportImage>(id)).ShouldBe(Requests);

        foreach (var request in requests)
            await pipeline.SettleAsync(
                new TargetSettled(id, request.ProjectId, request.CommandId, Outcomes.Applied, null, 1)
            );
        await pipeline.UntilAsync(id, "Completed", 1);
        (await ReceiptsAsync(id, Outcomes.Applied)).ShouldBe(Requests);
        (await pipeline.SentAsync<ImageGenerated>(id)).ShouldBe(Requests);

        // A later request for the same picture is served from the stored one.
        await pipeline.SendAsync(first with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid() });
        await pipeline.UntilAsync(id, "Saving", 1);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1);
        (await pipeline.SentAsync<ImportImage>(id)).ShouldBe(Requests + 1);
        (await pipeline.DeadLettersAsync()).ShouldBe(earlier);
    }

    [Fact]
    public async Task Transient_failures_are_retried_with_a_pause_until_the_attempts_are_spent()
    {
        var (request, id) = await BeginAsync();
        for (var attempt = 1; attempt < 3; attempt++)
        {
            await pipeline.SendAsync(new RenderFailed(id, attempt, "transient", "500 Internal Server Error", null));
            await pipeline.UntilAsync(id, "Requested", attempt + 1);
            await PlaySweepAsync(id, attempt + 1);
            await pipeline.UntilAsync(id, "Rendering", attempt + 1);
        }

        await pipeline.SendAsync(new RenderFailed(id, 3, "transient", "500 Internal Server Error", null));
        await pipeline.UntilAsync(id, "Abandoned", 3);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(3);
        (await ReceiptAsync(request.CommandId)).ShouldBe("failed: 500 Internal Server Error");
        (await pipeline.SentAsync<GenerationEnded>(request.CommandId)).ShouldBe(1);
    }

    [Fact]
    public async Task Answers_of_an_earlier_attempt_change_nothing()
    {
        var (_, id) = await BeginAsync();
        await pipeline.LoseLeaseAsync(id, 1);
        await pipeline.UntilAsync(id, "Rendering", 2);

        await pipeline.SendAsync(new RenderSucceeded(id, 1, "generated/late.png"));
        await pipeline.SendAsync(new RenderFailed(id, 1, "moderation", "late", null));
        await pipeline.SendAsync(new RenderLeaseExpired(id, 1));
        await pipeline.SendAsync(new RenderSucceeded(id, 2, $"generated/{id}/2.png"));
        await pipeline.UntilAsync(id, "Saving", 2);
        (
            await pipeline.AskAsync("select object_key from pipeline.generation_requests where correlation_id = $1", id)
        ).ShouldBe($"generated/{id}/2.png");
    }

    [Fact]
    public async Task Moderation_is_an_end_of_its_own_and_is_not_retried()
    {
        var (request, id) = await BeginAsync();
        await pipeline.SendAsync(new RenderFailed(id, 1, "moderation", "moderation_blocked", null));
        await pipeline.UntilAsync(id, "Rejected", 1);
        (await ReceiptAsync(request.CommandId)).ShouldBe("rejected: moderation_blocked");

        // The same picture again gets the same answer, without a call; a forced one is another generation.
        var again = request with
        {
            CommandId = Guid.NewGuid(),
        };
        await pipeline.SendAsync(again);
        await Until.TrueAsync(
            "the answer",
            async () => await ReceiptAsync(again.CommandId) == "rejected: moderation_blocked"
        );
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1);
        var forced = again with { CommandId = Guid.NewGuid(), Force = true };
        await pipeline.SendAsync(forced);
        await pipeline.UntilAsync(RequestIdentity.Of(forced).GenerationId, "Rendering", 1);
    }

    [Fact]
    public async Task Closed_gate_postpones_without_spending_an_attempt()
    {
        var (_, id) = await BeginAsync();
        for (var i = 0; i < 5; i++)
        {
            var until = DateTimeOffset.UtcNow.AddMilliseconds(10);
            await pipeline.SendAsync(new RenderPostponed(id, 1, until, "429 slow_down"));
            await pipeline.UntilAsync(id, "Requested", 1);
            await PlaySweepAsync(id, 1);
            await pipeline.UntilAsync(id, "Rendering", 1);
        }
    }

    [Fact]
    public async Task Failed_generation_does_not_block_a_new_request_or_a_retry_by_a_person()
    {
        var (request, id) = await BeginAsync();
        await pipeline.SendAsync(new CancelGeneration(Guid.NewGuid(), request.ProjectId, id, null));
        await pipeline.UntilAsync(id, "Cancelled", 1);
        (await ReceiptAsync(request.CommandId)).ShouldBe("superseded: The request was cancelled.");
        // A worker that has not begun the attempt yet finds it ended, and calls no provider.
        (
            await pipeline.AskAsync("select outcome from pipeline.generation_attempts where generation_id = $1", id)
        ).ShouldBe("cancelled");

        var retry = new RetryGeneration(Guid.NewGuid(), request.ProjectId, id, null);
        await pipeline.SendAsync(retry);
        await pipeline.UntilAsync(id, "Rendering", 2);
        (await ReceiptAsync(retry.CommandId)).ShouldBe("applied");
        await pipeline.SendAsync(new RenderSucceeded(id, 2, $"generated/{id}/2.png"));
        await pipeline.UntilAsync(id, "Saving", 2);
        await pipeline.SettleAsync(
            new TargetSettled(id, request.ProjectId, request.CommandId, Outcomes.Applied, null, 7)
        );
        await pipeline.UntilAsync(id, "Completed", 2);
        (await ReceiptAsync(request.CommandId)).ShouldBe("applied");
    }

    [Fact]
    public async Task Retry_of_a_rendered_picture_repeats_the_saves_that_failed_and_no_other()
    {
        var (failed, id) = await BeginAsync();
        var saved = failed with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid() };
        await pipeline.SendAsync(saved);
        await Until.TrueAsync("two targets", async () => await TargetsAsync(id) == 2);
        await pipeline.SendAsync(new RenderSucceeded(id, 1, $"generated/{id}/1.png"));
        await pipeline.UntilAsync(id, "Saving", 1);
        await pipeline.SettleAsync(
            new TargetSettled(id, failed.ProjectId, failed.CommandId, Outcomes.Failed, "the store was away", null)
        );
        await pipeline.SettleAsync(new TargetSettled(id, saved.ProjectId, saved.CommandId, Outcomes.Applied, null, 1));
        await pipeline.UntilAsync(id, "Completed", 1);
        (await ReceiptAsync(failed.CommandId)).ShouldBe("failed: the store was away");

        var retry = new RetryGeneration(Guid.NewGuid(), failed.ProjectId, id, null);
        await pipeline.SendAsync(retry);
        await pipeline.UntilAsync(id, "Saving", 1);
        (await ReceiptAsync(retry.CommandId)).ShouldBe("applied");
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1);
        (await pipeline.SentAsync<ImportImage>(failed.ImageId)).ShouldBe(2);
        (await pipeline.SentAsync<ImportImage>(saved.ImageId)).ShouldBe(1);
        // The first import has its failed receipt; under its id the second one would be answered with that.
        (
            await pipeline.AskAsync(
                """
                select count(distinct message_id) from pipeline.outbox
                where exchange = 'import-image' and convert_from(body, 'UTF8') like $1
                """,
                $"%{failed.ImageId}%"
            )
        ).ShouldBe("2");

        await pipeline.SettleAsync(
            new TargetSettled(id, failed.ProjectId, failed.CommandId, Outcomes.Applied, null, 2)
        );
        await pipeline.UntilAsync(id, "Completed", 1);
        (await ReceiptAsync(failed.CommandId)).ShouldBe("applied");

        var needless = new RetryGeneration(Guid.NewGuid(), failed.ProjectId, id, null);
        await pipeline.SendAsync(needless);
        await Until.TrueAsync(
            "the answer",
            async () =>
                await ReceiptAsync(needless.CommandId)
                == "unchanged: The project has no request for this generation that can be retried."
        );
    }

    [Fact]
    public async Task The_sweep_sends_a_stale_attempt_again_and_none_that_is_alive_or_has_an_appointment()
    {
        var (_, stale) = await BeginAsync();
        var (_, young) = await BeginAsync();
        var (_, alive) = await BeginAsync();
        var (_, waiting) = await BeginAsync();
        await pipeline.SendAsync(new RenderPostponed(waiting, 1, DateTimeOffset.UtcNow.AddHours(1), "busy"));
        await pipeline.UntilAsync(waiting, "Requested", 1);
        await pipeline.AskAsync(
            "insert into pipeline.generation_leases values ($1, 1, 1, $2, now() + interval '1 hour') returning 1",
            alive,
            Guid.NewGuid()
        );

        // Half an hour is the default. In one statement, so that no sweep sees some of them only.
        await pipeline.AskAsync(
            """
            update pipeline.generation_requests
            set updated_at = now() - case when correlation_id = $1 then interval '29 min' else interval '90 min' end
            where correlation_id in ($1, $2, $3, $4) returning 1
            """,
            young,
            stale,
            alive,
            waiting
        );
        await Until.TrueAsync("the stale one", async () => await pipeline.SentAsync<RenderDue>(stale) == 1);
        await pipeline.SendAsync(new RenderDue(stale, 1));
        await Until.TrueAsync("its message again", async () => await pipeline.SentAsync<RenderImage>(stale) == 2);

        // Another sweep has come by since; it found nothing new, and has not taken the stale one for the lost one.
        foreach (var id in new[] { young, alive, waiting })
            (await pipeline.SentAsync<RenderDue>(id)).ShouldBe(0);
        await pipeline.UntilAsync(stale, "Rendering", 1);
    }

    [Fact]
    public async Task The_sweep_tells_of_a_lost_lease_and_of_a_deadline()
    {
        var (_, id) = await BeginAsync();
        await pipeline.AskAsync(
            "insert into pipeline.generation_leases values ($1, 1, 1, $2, now() - interval '1 second') returning 1",
            id,
            Guid.NewGuid()
        );
        await Until.TrueAsync("the lost lease", async () => await pipeline.SentAsync<RenderLeaseExpired>(id) == 1);

        var late = GenerationPipeline.NewRequest() with { Deadline = DateTimeOffset.UtcNow.AddSeconds(2) };
        var lateId = RequestIdentity.Of(late).GenerationId;
        await pipeline.SendAsync(late);
        await Until.TrueAsync(
            "the deadline",
            async () => await pipeline.SentAsync<GenerationDeadlinePassed>(lateId) >= 1
        );
        await pipeline.SendAsync(new GenerationDeadlinePassed(lateId, 1));
        await pipeline.UntilAsync(lateId, "Abandoned", 1);
    }

    [Theory]
    [InlineData("prompt", "prompt: must not be empty.")]
    [InlineData("model", "model: is not configured here.")]
    [InlineData("width", "width: must be 64 to 4096.")]
    [InlineData("slot", "slot: must be 0 to 9999.")]
    [InlineData("deadline", "deadline: must not have passed.")]
    public async Task Bad_request_is_rejected_with_field_and_rule(string field, string reason)
    {
        var good = GenerationPipeline.NewRequest();
        var bad = field switch
        {
            "prompt" => good with { Prompt = " " },
            "model" => good with { Model = "none" },
            "width" => good with { Width = 63 },
            "slot" => good with { Slot = -1 },
            _ => good with { Deadline = DateTimeOffset.UtcNow.AddMinutes(-1) },
        };
        var earlier = await pipeline.DeadLettersAsync();
        await pipeline.SendAsync(bad);
        await Until.TrueAsync("the refusal", async () => await ReceiptAsync(bad.CommandId) == $"rejected: {reason}");
        // What breaks the schema is kept for a person to read; what breaks a rule was read.
        var kept = field is "width" or "slot" ? 1u : 0u;
        await Until.TrueAsync("the dead letter", async () => await pipeline.DeadLettersAsync() == earlier + kept);
    }

    [Fact]
    public void Same_parameters_in_any_order_are_the_same_hash_and_any_other_picture_is_not()
    {
        var request = GenerationPipeline.NewRequest() with
        {
            Options = new Dictionary<string, string>(StringComparer.Ordinal) { ["a"] = "1", ["b"] = "2" },
        };
        var same = request with
        {
            CommandId = Guid.NewGuid(),
            Slot = 9,
            Options = new Dictionary<string, string>(StringComparer.Ordinal) { ["b"] = "2", ["a"] = "1" },
        };
        RequestIdentity.Of(same).ShouldBe(RequestIdentity.Of(request));
        RequestIdentity.Of(request).Hash.ShouldStartWith("image|");

        GenerateImage[] others =
        [
            request with
            {
                Prompt = request.Prompt + ".",
            },
            request with
            {
                Model = "other",
            },
            request with
            {
                Width = 513,
            },
            request with
            {
                Height = 513,
            },
            request with
            {
                Seed = 2,
            },
            request with
            {
                Seed = null,
            },
            request with
            {
                Options = null,
            },
            request with
            {
                Force = true,
            },
        ];
        others
            .Select(x => RequestIdentity.Of(x).Hash)
            .Append(RequestIdentity.Of(request).Hash)
            .ShouldBeUnique(StringComparer.Ordinal);
    }

    private async Task<(GenerateImage Request, Guid Id)> BeginAsync()
    {
        var request = GenerationPipeline.NewRequest();
        var id = RequestIdentity.Of(request).GenerationId;
        await pipeline.SendAsync(request);
        await pipeline.UntilAsync(id, "Rendering", 1);
        return (request, id);
    }

    /// <summary>The sweep's message is in the outbox, which nobody relays here.</summary>
    private async Task PlaySweepAsync(Guid id, int attempt)
    {
        await Until.TrueAsync("the sweep", async () => await pipeline.SentAsync<RenderDue>(id) > 0);
        await pipeline.AskAsync("delete from pipeline.outbox where exchange = 'render-due' returning 1");
        await pipeline.SendAsync(new RenderDue(id, attempt));
    }

    private async Task<int> TargetsAsync(Guid id) =>
        int.Parse(
            (await pipeline.AskAsync("select count(*) from pipeline.generation_targets where generation_id = $1", id))!
        );

    private async Task<int> ReceiptsAsync(Guid id, string outcome) =>
        int.Parse(
            (
                await pipeline.AskAsync(
                    """
                    select count(*) from pipeline.receipts r
                    join pipeline.generation_targets t on t.command_id = r.command_id
                    where t.generation_id = $1 and r.outcome = $2
                    """,
                    id,
                    outcome
                )
            )!
        );

    private Task<string?> ReceiptAsync(Guid commandId) =>
        pipeline.AskAsync(
            "select concat_ws(': ', outcome, reason) from pipeline.receipts where command_id = $1",
            commandId
        );
}
