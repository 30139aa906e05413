using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>A repair that waits for a receipt which nobody will write.</summary>
public sealed class UnsettledRepairTests : CatalogStack
{
    [Fact]
    public async Task Repair_whose_command_never_gets_a_receipt_ends_after_a_day_and_the_next_reconciliation_may_begin()
    {
        await ScalarAsync<Guid>(
            """
            with found as (
                insert into pipeline.reconciliations
                    (id, bucket, state, request, replays, grace, cutoff, read_bytes, lease_until, started_at, updated_at,
                     scope, ended_at)
                values (gen_random_uuid(), $1, 'Completed', '', 0, interval '0', now(), false, now(), now(), now(),
                    '00000000-0000-0000-0000-000000000000', now())
                returning id
            ), finding as (
                insert into pipeline.reconciliation_findings
                    (reconciliation_id, number, kind, key, detail, repair_command, repair_command_id)
                select id, 1, 'entry-without-object', 'lost.jpg', '', 'forget-object', gen_random_uuid() from found
            )
            insert into pipeline.reconciliations
                (id, bucket, state, repair_of, request, replays, grace, cutoff, read_bytes, lease_until, started_at,
                 updated_at, scope)
            select gen_random_uuid(), $1, 'Settling', id, '', 0, interval '0', now(), false, now(),
                   now() - interval '25 hours', now(), '00000000-0000-0000-0000-000000000000'
            from found returning id
            """,
            Bucket.Name
        );
        HostWorker("worker");

        await UntilAsync(
            "it ends",
            async () =>
                await ScalarAsync<bool>(
                    """
                    select coalesce(bool_or(failure_reason like '1 of 1 commands have no receipt after 24 hours%'), false)
                    from status.reconciliations where state = 'Failed'
                    """
                )
        );
        var after = await VerbRun.RunAsync(this, "reconcile");
        after.ExitCode.ShouldBe(0, after.Error);
    }
}
