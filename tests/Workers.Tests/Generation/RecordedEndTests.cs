using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Generation;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>
/// What a worker has recorded stands: no lapsed lease, cancellation or deadline throws an image away that is paid for,
/// and none has it rendered once more.
/// </summary>
public sealed class RecordedEndTests(GenerationPipeline pipeline) : IClassFixture<GenerationPipeline>
{
    [Fact]
    public async Task Lapsed_lease_does_not_overrule_the_success_that_its_worker_is_just_recording()
    {
        var (_, id) = await BeginAsync();
        await LeaseAsync(id, "now() - interval '1 second'");

        await using (var end = await EndAsync(id)) // The worker's transaction is open while the saga looks.
        {
            await pipeline.SendAsync(new RenderLeaseExpired(id, 1));
            await Until.TrueAsync("the saga waits for the worker", BlockedAsync);
            await end.CommitAsync();
        }

        await pipeline.ConsumeAsync(new RenderLeaseExpired(id, 1)); // Behind the other: the same lock, the same order.
        await pipeline.UntilAsync(id, "Rendering", 1);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1);

        await pipeline.SendAsync(Succeeded(id));
        await pipeline.UntilAsync(id, "Saving", 1);
        (await AttemptsAsync(id)).ShouldBe("1 succeeded");
    }

    [Fact]
    public async Task Lease_that_was_renewed_behind_the_sweeps_message_is_not_lost()
    {
        var (_, id) = await BeginAsync();
        await LeaseAsync(id, "now() - interval '1 second'");
        await using (var renewal = await BeginTransactionAsync())
        {
            await ExecuteAsync(
                renewal,
                "update pipeline.generation_leases set lease_until = now() + interval '1 hour' where generation_id = $1",
                id
            );
            await pipeline.SendAsync(new RenderLeaseExpired(id, 1));
            await Until.TrueAsync("the saga waits for the worker", BlockedAsync);
            await renewal.CommitAsync();
        }

        await pipeline.ConsumeAsync(new RenderLeaseExpired(id, 1));
        await pipeline.UntilAsync(id, "Rendering", 1);
        (await AttemptsAsync(id)).ShouldBe("");
    }

    [Fact]
    public async Task Cancel_behind_the_recorded_success_changes_nothing_and_the_image_is_saved()
    {
        var (request, id) = await BeginAsync();
        await LeaseAsync(id, "now() + interval '1 hour'");
        var cancel = new CancelGeneration(Guid.NewGuid(), request.ProjectId, id, null);

        await using (var end = await EndAsync(id))
        {
            await pipeline.SendAsync(cancel);
            await Until.TrueAsync("the saga waits for the worker", BlockedAsync);
            await end.CommitAsync();
        }

        await Until.TrueAsync(
            "the answer",
            async () =>
                await ReceiptAsync(cancel.CommandId)
                == "unchanged: The image is rendered already: what is paid for is saved."
        );
        await pipeline.SendAsync(Succeeded(id));
        await pipeline.UntilAsync(id, "Saving", 1);
    }

    [Fact]
    public async Task Cancel_by_one_of_two_projects_behind_the_recorded_success_changes_nothing()
    {
        var (request, id) = await BeginAsync();
        var other = request with { CommandId = Guid.NewGuid(), ProjectId = Guid.NewGuid(), ImageId = Guid.NewGuid() };
        await pipeline.ConsumeAsync(other);
        await Until.TrueAsync(
            "two targets",
            async () =>
                await pipeline.AskAsync("select count(*) from pipeline.generation_targets where generation_id = $1", id)
                == "2"
        );
        await RecordAsync(id);

        var cancel = new CancelGeneration(Guid.NewGuid(), request.ProjectId, id, null);
        await pipeline.ConsumeAsync(cancel);

        (await ReceiptAsync(cancel.CommandId)).ShouldStartWith("unchanged: The image is rendered");
        await pipeline.SendAsync(Succeeded(id));
        await pipeline.UntilAsync(id, "Saving", 1);
        (await ReceiptAsync(request.CommandId)).ShouldBe("");
    }

    [Fact]
    public async Task Deadline_and_cancel_of_an_attempt_that_a_copy_of_its_message_has_rendered_early_change_nothing()
    {
        var (request, id) = await BeginAsync(DateTimeOffset.UtcNow.AddHours(1));
        await pipeline.SendAsync(new RenderPostponed(id, 1, DateTimeOffset.UtcNow.AddHours(1), "busy"));
        await pipeline.UntilAsync(id, "Requested", 1);
        await RecordAsync(id);
        await pipeline.AskAsync(
            "update pipeline.generation_requests set deadline_at = now() where correlation_id = $1",
            id
        );

        await pipeline.ConsumeAsync(new GenerationDeadlinePassed(id, 1));
        await pipeline.ConsumeAsync(new CancelGeneration(Guid.NewGuid(), request.ProjectId, id, null));
        await pipeline.UntilAsync(id, "Requested", 1);

        await pipeline.SendAsync(Succeeded(id));
        await pipeline.UntilAsync(id, "Saving", 1);
        (await AttemptsAsync(id)).ShouldBe("1 succeeded");
    }

    /// <summary>One sweep sees both, in the same state; it reports only a lease that it may judge.</summary>
    [Fact]
    public async Task Lapsed_lease_says_nothing_before_the_sweeps_have_gone_on_for_its_length()
    {
        var (_, lasting) = await BeginAsync();
        var (_, brief) = await BeginAsync();
        await pipeline.AskAsync(
            """
            insert into pipeline.generation_leases
                (generation_id, attempt, epoch, worker_id, lease_until, lease_length)
            values ($1, 1, 1, $1, now() - interval '1 second', interval '1 hour'),
                   ($2, 1, 1, $2, now() - interval '1 second', interval '0')
            """,
            lasting,
            brief
        );

        await Until.TrueAsync("the other's", async () => await pipeline.SentAsync<RenderLeaseExpired>(brief) == 1);

        (await pipeline.SentAsync<RenderLeaseExpired>(lasting)).ShouldBe(0);
    }

    /// <summary>As if the message had gone out two seconds ago, and the saga's queue were behind.</summary>
    [Fact]
    public async Task Deadline_is_not_told_of_again_while_its_message_is_on_its_way()
    {
        var (_, sent) = await BeginAsync(DateTimeOffset.UtcNow.AddHours(1));
        var (_, next) = await BeginAsync(DateTimeOffset.UtcNow.AddHours(1));

        await pipeline.AskAsync(
            """
            update pipeline.generation_requests
            set deadline_at = now() - interval '10 seconds',
                swept_at = case when correlation_id = $1 then now() - interval '2 seconds' end
            where correlation_id in ($1, $2)
            """,
            sent,
            next
        );
        await Until.TrueAsync("the other's", async () => await pipeline.SentAsync<GenerationDeadlinePassed>(next) == 1);

        (await pipeline.SentAsync<GenerationDeadlinePassed>(sent)).ShouldBe(0);
    }

    [Fact]
    public async Task Attempt_that_waited_does_not_begin_after_the_deadline()
    {
        var (_, id) = await BeginAsync(DateTimeOffset.UtcNow.AddHours(1));
        await pipeline.SendAsync(new RenderPostponed(id, 1, DateTimeOffset.UtcNow.AddHours(1), "busy"));
        await pipeline.UntilAsync(id, "Requested", 1);
        await pipeline.AskAsync(
            """
            update pipeline.generation_requests set deadline_at = now(), due_at = now() where correlation_id = $1
            """,
            id
        );

        await Until.TrueAsync("the deadline", async () => await pipeline.SentAsync<GenerationDeadlinePassed>(id) == 1);
        await pipeline.ConsumeAsync(new RenderDue(id, 1));
        await pipeline.SendAsync(new GenerationDeadlinePassed(id, 1));
        await pipeline.UntilAsync(id, "Abandoned", 1);

        (await pipeline.SentAsync<RenderDue>(id)).ShouldBe(0);
        (await pipeline.SentAsync<RenderImage>(id)).ShouldBe(1);
    }

    [Fact]
    public async Task Claim_that_is_being_committed_while_the_request_is_cancelled_is_lost()
    {
        var (request, id) = await BeginAsync();
        await using (var claim = await BeginTransactionAsync())
        {
            await ExecuteAsync(
                claim,
                """
                insert into pipeline.generation_leases
                    (generation_id, attempt, epoch, worker_id, lease_until, lease_length)
                values ($1, 1, 1, $1, now() + interval '1 hour', interval '1 hour')
                """,
                id
            );
            await pipeline.SendAsync(new CancelGeneration(Guid.NewGuid(), request.ProjectId, id, null));
            await Until.TrueAsync("the saga waits for the worker", BlockedAsync);
            await claim.CommitAsync();
        }

        await pipeline.UntilAsync(id, "Cancelled", 1);
        const string Leases = "select count(*) from pipeline.generation_leases where generation_id = $1";
        (await pipeline.AskAsync(Leases, id)).ShouldBe("0"); // Its worker finds that at the next renewal, and stops.
    }

    private static RenderSucceeded Succeeded(Guid id) => new(id, 1, $"generated/{id}/1.png");

    private async Task<(GenerateImage Request, Guid Id)> BeginAsync(DateTimeOffset? deadline = null)
    {
        var request = GenerationPipeline.NewRequest() with { Deadline = deadline };
        var id = RequestIdentity.Of(request).GenerationId;
        await pipeline.SendAsync(request);
        await pipeline.UntilAsync(id, "Rendering", 1);
        return (request, id);
    }

    private Task<string?> LeaseAsync(Guid id, string until) =>
        pipeline.AskAsync(
            $"""
            insert into pipeline.generation_leases
                (generation_id, attempt, epoch, worker_id, lease_until, lease_length)
            values ($1, 1, 1, $1, {until}, interval '1 hour')
            """,
            id
        );

    /// <summary>The worker's end of the attempt, not committed yet: first the lease, then the row.</summary>
    private async Task<NpgsqlTransaction> EndAsync(Guid id)
    {
        var end = await BeginTransactionAsync();
        await ExecuteAsync(end, "delete from pipeline.generation_leases where generation_id = $1", id);
        await ExecuteAsync(end, RecordSql, id);
        return end;
    }

    private Task<string?> RecordAsync(Guid id) => pipeline.AskAsync(RecordSql, id);

    private const string RecordSql = """
        insert into pipeline.generation_attempts (generation_id, attempt, outcome, object_key, ended_at)
        values ($1, 1, 'succeeded', 'generated/' || $1 || '/1.png', now())
        """;

    private async Task<NpgsqlTransaction> BeginTransactionAsync() =>
        await (await pipeline.Database.OpenConnectionAsync()).BeginTransactionAsync();

    private static async Task ExecuteAsync(NpgsqlTransaction transaction, string sql, Guid id)
    {
        await using var command = new NpgsqlCommand(sql, transaction.Connection, transaction);
        command.Parameters.AddWithValue(id);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Whether the saga waits for a row of the worker's.</summary>
    private async Task<bool> BlockedAsync() =>
        await pipeline.AskAsync(
            """
            select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                and query like '%pipeline.generation_%'
            """
        ) == "1";

    private Task<string?> AttemptsAsync(Guid id) =>
        pipeline.AskAsync(
            """
            select coalesce(string_agg(concat(attempt, ' ', outcome), ', ' order by attempt), '')
            from pipeline.generation_attempts where generation_id = $1
            """,
            id
        );

    private async Task<string> ReceiptAsync(Guid commandId) =>
        await pipeline.AskAsync(
            "select concat_ws(': ', outcome, reason) from pipeline.receipts where command_id = $1",
            commandId
        ) ?? "";
}
