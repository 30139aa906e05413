using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Persistence;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>A request belongs to the project that made it, also where several share one rendering.</summary>
public sealed class GenerationAskerTests(GenerationPipeline pipeline) : IClassFixture<GenerationPipeline>
{
    private const string NothingOpen = "unchanged: The project has no open request for this generation.";
    private const string NothingToRetry =
        "unchanged: The project has no request for this generation that can be retried.";

    [Fact]
    public async Task Cancel_withdraws_the_askers_request_and_the_others_get_their_image()
    {
        var (mine, theirs, id) = await BeginAsync();
        var cancel = Cancel(mine, id);

        await pipeline.ConsumeAsync(cancel);

        (await ReceiptAsync(cancel.CommandId)).ShouldBe("applied");
        (await ReceiptAsync(mine.CommandId)).ShouldBe("superseded: The request was cancelled.");
        (await ReceiptAsync(theirs.CommandId)).ShouldBeNull();
        (await pipeline.SentAsync<GenerationEnded>(id)).ShouldBe(1);
        (await pipeline.SentAsync<GenerationEnded>(mine.CommandId)).ShouldBe(1);
        (await AttemptsAsync(id)).ShouldBe("0"); // Whoever renders goes on.
        await pipeline.UntilAsync(id, "Rendering", 1);
        await pipeline.SendAsync(new RenderSucceeded(id, 1, $"generated/{id}/1.png"));
        await pipeline.UntilAsync(id, "Saving", 1);
        (await pipeline.SentAsync<ImportImage>(theirs.ImageId)).ShouldBe(1);
        (await pipeline.SentAsync<ImportImage>(mine.ImageId)).ShouldBe(0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Rendering_stops_with_the_last_request_and_a_new_one_is_wanted_again(bool isWaiting)
    {
        var (mine, theirs, id) = await BeginAsync();
        if (isWaiting)
        {
            await pipeline.SendAsync(new RenderPostponed(id, 1, DateTimeOffset.UtcNow.AddHours(1), "busy"));
            await pipeline.UntilAsync(id, "Requested", 1);
        }

        await pipeline.ConsumeAsync(Cancel(mine, id));
        await pipeline.UntilAsync(id, isWaiting ? "Requested" : "Rendering", 1);
        await pipeline.ConsumeAsync(Cancel(theirs, id));

        await pipeline.UntilAsync(id, "Cancelled", 1);
        (await AttemptsAsync(id)).ShouldBe("1"); // A worker that has not begun it finds that it has ended.
        (await ReceiptAsync(theirs.CommandId)).ShouldBe("superseded: The request was cancelled.");
        await pipeline.SendAsync(mine with { CommandId = Guid.NewGuid() });
        await pipeline.UntilAsync(id, "Rendering", 2);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(2);
    }

    [Fact]
    public async Task Cancel_of_one_image_leaves_the_projects_other_images()
    {
        var (mine, theirs, id) = await BeginAsync();
        var other = mine with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid(), Slot = 1 };
        await pipeline.ConsumeAsync(Asked(other));

        await pipeline.ConsumeAsync(Cancel(mine, id) with { ImageId = mine.ImageId });
        await pipeline.ConsumeAsync(Cancel(theirs, id));

        (await ReceiptAsync(mine.CommandId)).ShouldBe("superseded: The request was cancelled.");
        (await ReceiptAsync(other.CommandId)).ShouldBeNull();
        await pipeline.UntilAsync(id, "Rendering", 1);
    }

    /// <summary>What a stranger hears is the same, whether others ask for the image or nobody ever did.</summary>
    [Theory]
    [InlineData("none")]
    [InlineData("Requested")]
    [InlineData("Rendering")]
    [InlineData("Saving")]
    [InlineData("Completed")]
    [InlineData("Abandoned")]
    [InlineData("Rejected")]
    [InlineData("Cancelled")]
    public async Task Commands_of_a_stranger_change_nothing_and_learn_nothing(string state)
    {
        var id = await BringToAsync(state);
        var before = await EverythingOfAsync(id);
        var stranger = Guid.NewGuid();
        var cancel = new CancelGeneration(Guid.NewGuid(), stranger, id, null);
        var retry = new RetryGeneration(Guid.NewGuid(), stranger, id, null);

        await pipeline.ConsumeAsync(cancel);
        await pipeline.ConsumeAsync(retry);

        (await ReceiptAsync(cancel.CommandId)).ShouldBe(NothingOpen);
        (await ReceiptAsync(retry.CommandId)).ShouldBe(NothingToRetry);
        (await EverythingOfAsync(id)).ShouldBe(before);
        (await pipeline.AskAsync("select count(*) from pipeline.receipts where project_id = $1", stranger)).ShouldBe(
            "2"
        );
    }

    [Fact]
    public async Task Retry_opens_the_askers_request_and_no_others()
    {
        var (mine, theirs, id) = await BeginAsync();
        await pipeline.ConsumeAsync(Cancel(mine, id));
        await pipeline.ConsumeAsync(Cancel(theirs, id));
        await pipeline.UntilAsync(id, "Cancelled", 1);

        await pipeline.ConsumeAsync(Retry(mine, id));

        await pipeline.UntilAsync(id, "Rendering", 2);
        await pipeline.SendAsync(new RenderSucceeded(id, 2, $"generated/{id}/2.png"));
        await pipeline.UntilAsync(id, "Saving", 2);
        (await pipeline.SentAsync<ImportImage>(mine.ImageId)).ShouldBe(1);
        (await pipeline.SentAsync<ImportImage>(theirs.ImageId)).ShouldBe(0);
        await pipeline.SettleAsync(new TargetSettled(id, mine.ProjectId, mine.CommandId, Outcomes.Applied, null, 1));
        await pipeline.UntilAsync(id, "Completed", 2);

        // The image is there: a retry only has it saved.
        await pipeline.ConsumeAsync(Retry(theirs, id));

        await pipeline.UntilAsync(id, "Saving", 2);
        (await pipeline.SentAsync<ImportImage>(theirs.ImageId)).ShouldBe(1);
        (await pipeline.SentAsync<ImportImage>(mine.ImageId)).ShouldBe(1);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(2);
    }

    [Fact]
    public async Task Request_that_is_cancelled_and_retried_waits_for_the_rendering_that_others_kept()
    {
        var (mine, theirs, id) = await BeginAsync();
        await pipeline.ConsumeAsync(Cancel(mine, id));
        await pipeline.ConsumeAsync(Retry(mine, id));
        await pipeline.ConsumeAsync(Cancel(mine, id));
        var retry = Retry(mine, id);
        await pipeline.ConsumeAsync(retry);
        var needless = Retry(mine, id);
        await pipeline.ConsumeAsync(needless);

        (await ReceiptAsync(retry.CommandId)).ShouldBe("applied");
        (await ReceiptAsync(needless.CommandId)).ShouldBe("unchanged: The generation is Rendering.");
        (
            await pipeline.AskAsync(
                """
                select count(distinct message_id) from pipeline.outbox
                where exchange = 'generation-ended' and convert_from(body, 'UTF8') like $1
                """,
                $"%{mine.CommandId}%"
            )
        ).ShouldBe("2"); // A listener must not take the second end for the first one again.
        await pipeline.UntilAsync(id, "Rendering", 1);
        await pipeline.SendAsync(new RenderSucceeded(id, 1, $"generated/{id}/1.png"));
        await pipeline.UntilAsync(id, "Saving", 1);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1);
        (await pipeline.SentAsync<ImportImage>(mine.ImageId)).ShouldBe(1);
        (await pipeline.SentAsync<ImportImage>(theirs.ImageId)).ShouldBe(1);
    }

    [Fact]
    public async Task Request_that_met_something_newer_in_its_lane_is_not_retried()
    {
        var (mine, _, id) = await BeginAsync();
        await pipeline.SendAsync(new RenderSucceeded(id, 1, $"generated/{id}/1.png"));
        await pipeline.UntilAsync(id, "Saving", 1);
        var end = new TargetSettled(id, mine.ProjectId, mine.CommandId, Outcomes.Superseded, "deleted", null);
        await pipeline.EndInLaneAsync(end);
        await pipeline.ConsumeAsync(end);
        var retry = Retry(mine, id);

        await pipeline.ConsumeAsync(retry);

        (await ReceiptAsync(retry.CommandId)).ShouldBe(NothingToRetry);
        (await pipeline.SentAsync<ImportImage>(mine.ImageId)).ShouldBe(1);
    }

    [Fact]
    public async Task Cancel_that_comes_again_does_not_withdraw_what_was_asked_since()
    {
        var (mine, theirs, id) = await BeginAsync();
        var cancel = Cancel(mine, id);
        await pipeline.ConsumeAsync(cancel);
        var anew = mine with { CommandId = Guid.NewGuid() };
        await pipeline.ConsumeAsync(Asked(anew));

        await pipeline.ConsumeAsync(cancel);
        await pipeline.ConsumeAsync(Cancel(theirs, id));

        await pipeline.UntilAsync(id, "Rendering", 1);
        (await ReceiptAsync(anew.CommandId)).ShouldBeNull();
    }

    [Fact]
    public async Task Request_that_is_withdrawn_takes_its_deadline_with_it()
    {
        var (mine, theirs, id) = await BeginAsync(theirDeadline: DateTimeOffset.UtcNow.AddHours(1));
        (await DeadlineAsync(id)).ShouldBe("none");

        await pipeline.ConsumeAsync(Cancel(mine, id));
        (await DeadlineAsync(id)).ShouldBe("within the hour");
        await pipeline.ConsumeAsync(Retry(mine, id));
        (await DeadlineAsync(id)).ShouldBe("none");

        await pipeline.ConsumeAsync(Cancel(theirs, id));
        (await DeadlineAsync(id)).ShouldBe("none");
    }

    /// <summary>
    /// The transaction of the first message is held open when it has all but committed, so that the second one comes
    /// within it each time and not now and then.
    /// </summary>
    [Theory]
    [InlineData("cancel", "pipeline.receipts", "new.command = 'cancel-generation'", "Rendering 2")]
    [InlineData("request", "pipeline.generation_targets", "true", "Rendering 1")]
    public async Task Request_that_joins_while_the_last_one_is_cancelled_is_rendered(
        string first,
        string table,
        string when,
        string state
    )
    {
        const string Hold = "pg_advisory_xact_lock_shared(4714)";
        var mine = GenerationPipeline.NewRequest();
        var id = RequestIdentity.Of(mine).GenerationId;
        await pipeline.ConsumeAsync(Asked(mine));
        var theirs = AnotherProject(mine);
        var (cancel, asked) = (Cancel(mine, id), Asked(theirs));
        await pipeline.AskAsync(
            $"""
            create function public.hold_first() returns trigger language plpgsql as
                $$ begin perform {Hold}; return null; end $$;
            create trigger hold_first after insert on {table}
                for each row when ({when}) execute function public.hold_first();
            """
        );
        await using (var holder = await pipeline.Database.OpenConnectionAsync())
        {
            await using var hold = holder.CreateCommand();
            hold.CommandText = "select pg_advisory_lock(4714)";
            await hold.ExecuteNonQueryAsync();
            await (first == "cancel" ? pipeline.SendAsync(cancel) : pipeline.SendAsync(asked));
            await Until.TrueAsync(
                "the first is held",
                async () =>
                    await pipeline.AskAsync(
                        "select count(*) from pg_locks where locktype = 'advisory' and objid = 4714 and not granted"
                    ) == "1"
            );
            await (first == "cancel" ? pipeline.SendAsync(asked) : pipeline.SendAsync(cancel));
            var saga = AdvisoryLock.Of(LockUse.Saga, id);
            await Until.TrueAsync("the second waits", async () => await pipeline.WaitingAsync(saga) == 1);
            hold.CommandText = "select pg_advisory_unlock(4714)";
            await hold.ExecuteNonQueryAsync();
        }

        await Until.TrueAsync("it is cancelled", async () => await ReceiptAsync(cancel.CommandId) == "applied");
        await pipeline.UntilAsync(id, state.Split(' ')[0], int.Parse(state.Split(' ')[1]));
        await pipeline.AskAsync("drop function public.hold_first() cascade");
        (await ReceiptAsync(mine.CommandId)).ShouldBe("superseded: The request was cancelled.");
        (await ReceiptAsync(theirs.CommandId)).ShouldBeNull();
        (
            await pipeline.AskAsync(
                "select count(*) from pipeline.generation_targets where command_id = $1 and outcome is null",
                theirs.CommandId
            )
        ).ShouldBe("1");
    }

    [Fact]
    public void Scope_of_a_project_makes_its_requests_the_same_and_those_of_two_projects_different()
    {
        var mine = GenerationPipeline.NewRequest();
        var again = mine with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid() };
        var theirs = AnotherProject(mine);

        RequestIdentity.Of(theirs).ShouldBe(RequestIdentity.Of(mine));
        RequestIdentity[] own =
        [
            RequestIdentity.Of(mine, RenderingScope.Project),
            RequestIdentity.Of(theirs, RenderingScope.Project),
            RequestIdentity.Of(mine),
        ];
        own.Select(x => x.Hash).ShouldBeUnique(StringComparer.Ordinal);
        own.Select(x => x.GenerationId).ShouldBeUnique();
        RequestIdentity.Of(again, RenderingScope.Project).ShouldBe(own[0]);
        Should
            .Throw<InvalidOperationException>(new GenerationOptions { ShareRenderings = (RenderingScope)7 }.Validate)
            .Message.ShouldContain("ShareRenderings");
    }

    private async Task<(GenerateImage Mine, GenerateImage Theirs, Guid Id)> BeginAsync(
        DateTimeOffset? theirDeadline = null
    )
    {
        var mine = GenerationPipeline.NewRequest();
        var theirs = AnotherProject(mine) with { Deadline = theirDeadline };
        await pipeline.ConsumeAsync(Asked(mine));
        await pipeline.ConsumeAsync(Asked(theirs));
        return (mine, theirs, RequestIdentity.Of(mine).GenerationId);
    }

    private async Task<Guid> BringToAsync(string state)
    {
        if (state == "none")
            return Guid.NewGuid();
        var (mine, theirs, id) = await BeginAsync();
        object[] events = state switch
        {
            "Requested" => [new RenderPostponed(id, 1, DateTimeOffset.UtcNow.AddHours(1), "busy")],
            "Saving" => [new RenderSucceeded(id, 1, $"generated/{id}/1.png")],
            "Completed" =>
            [
                new RenderSucceeded(id, 1, $"generated/{id}/1.png"),
                new TargetSettled(id, mine.ProjectId, mine.CommandId, Outcomes.Failed, "the store was away", null),
                new TargetSettled(id, theirs.ProjectId, theirs.CommandId, Outcomes.Applied, null, 1),
            ],
            "Abandoned" => [new RenderFailed(id, 1, RenderFailureKinds.Refused, "no", null)],
            "Rejected" => [new RenderFailed(id, 1, RenderFailureKinds.Moderation, "no", null)],
            "Cancelled" => [Cancel(mine, id), Cancel(theirs, id)],
            _ => [],
        };
        foreach (var message in events)
        {
            if (message is TargetSettled end)
                await pipeline.EndInLaneAsync(end);
            await pipeline.ConsumeAsync((dynamic)message);
        }

        await pipeline.UntilAsync(id, state, 1);
        return id;
    }

    private static GenerateImage AnotherProject(GenerateImage request) =>
        request with
        {
            CommandId = Guid.NewGuid(),
            ProjectId = Guid.NewGuid(),
            ImageId = Guid.NewGuid(),
        };

    private static RequestGeneration Asked(GenerateImage request) =>
        new(RequestIdentity.Of(request).GenerationId, RequestIdentity.Of(request).Hash, request);

    private static CancelGeneration Cancel(GenerateImage request, Guid id) =>
        new(Guid.NewGuid(), request.ProjectId, id, null);

    private static RetryGeneration Retry(GenerateImage request, Guid id) =>
        new(Guid.NewGuid(), request.ProjectId, id, null);

    /// <summary>Rows of the saga and its requests, and how much was sent for it.</summary>
    private Task<string?> EverythingOfAsync(Guid id) =>
        pipeline.AskAsync(
            """
            select concat(
                (select g::text from pipeline.generation_requests g where g.correlation_id = $1),
                (select string_agg(t::text, ',' order by t.command_id) from pipeline.generation_targets t
                    where t.generation_id = $1),
                (select count(*) from pipeline.generation_attempts where generation_id = $1),
                (select count(*) from pipeline.outbox where convert_from(body, 'UTF8') like '%' || $1::text || '%'))
            """,
            id
        );

    private Task<string?> AttemptsAsync(Guid id) =>
        pipeline.AskAsync("select count(*) from pipeline.generation_attempts where generation_id = $1", id);

    private Task<string?> DeadlineAsync(Guid id) =>
        pipeline.AskAsync(
            """
            select case when deadline_at is null then 'none'
                when deadline_at between now() and now() + interval '1 hour' then 'within the hour' else 'other' end
            from pipeline.generation_requests where correlation_id = $1
            """,
            id
        );

    private Task<string?> ReceiptAsync(Guid commandId) =>
        pipeline.AskAsync(
            "select concat_ws(': ', outcome, reason) from pipeline.receipts where command_id = $1",
            commandId
        );
}
