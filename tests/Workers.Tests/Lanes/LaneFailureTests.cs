using Pipeline.Workers.Lanes;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>What cannot be carried out gets its receipt, and its neighbours are applied as if it had not been there.</summary>
public sealed class LaneFailureTests(ScratchLane lane) : IClassFixture<ScratchLane>
{
    private const string PlantSuspectsSql = """
        insert into pipeline.lane_suspects (project_id, command_id, worker_id, lane, started_at)
        select $1, $2, gen_random_uuid(), $3, now() from generate_series(1, $4)
        """;

    private const string SuspectsSql = "select worker_id from pipeline.lane_suspects where command_id = $1";

    private readonly Guid _project = Guid.NewGuid();

    [Theory]
    [InlineData(false, "InvalidOperationException: The step is broken.")]
    [InlineData(true, "PostgresException: 22012: division by zero")]
    public async Task A_command_that_fails_fails_alone(bool inDatabase, string reason)
    {
        var steps = Enumerable.Range(1, 9).Select(Step).ToArray();
        lane.Handler.Break(steps[2].CommandId, inDatabase);
        lane.Handler.Break(steps[6].CommandId, inDatabase);

        var outcomes = await lane.ApplyAsync([.. steps.Select(x => Steps.Entry(x))]);

        outcomes[2].ShouldStartWith($"failed {reason}");
        outcomes[6].ShouldStartWith($"failed {reason}");
        outcomes.Count(x => x == "applied").ShouldBe(7);
        (await lane.StepsAsync(_project)).ShouldBe([1, 2, 4, 5, 6, 8, 9]);
        (await lane.ReceiptAsync(steps[2].CommandId)).ShouldStartWith($"failed 0 {reason}");
        (await lane.ReceiptAsync(steps[3].CommandId)).ShouldBe("applied 0");
        lane.Handler.Runs.ShouldContain((_project, 9));
    }

    [Fact]
    public async Task A_redelivered_failure_answers_the_same_and_a_replayed_one_is_decided_anew()
    {
        var step = Step(1);
        await using var events = await lane.ListenAsync(_project);
        lane.Handler.Break(step.CommandId);
        (await ApplyAsync(step)).ShouldStartWith("failed ");
        var announced = await events.NextAsync();
        announced.ShouldStartWith("command-failed ");

        lane.Handler.Mend(step.CommandId);
        (await ApplyAsync(step, redeliveries: 1)).ShouldStartWith("failed ");
        (await events.NextAsync()).ShouldBe(announced);
        (await lane.StepsAsync(_project)).ShouldBeEmpty();

        (await ApplyAsync(step, replays: 1)).ShouldBe("applied");
        (await lane.ReceiptAsync(step.CommandId)).ShouldBe("applied 1");
        announced = await events.NextAsync();
        announced.ShouldStartWith("step-taken ");

        await ApplyAsync(step, replays: 1, redeliveries: 1);
        await ApplyAsync(step, replays: 2);
        (await events.NextAsync()).ShouldBe(announced);
        (await events.NextAsync()).ShouldBe(announced);
        (await lane.StepsAsync(_project)).ShouldBe([1]);
        (await lane.ReceiptAsync(step.CommandId)).ShouldBe("applied 1");
    }

    [Fact]
    public async Task A_replay_that_fails_again_is_failed_again()
    {
        var step = Step(1);
        lane.Handler.Break(step.CommandId);
        (await ApplyAsync(step)).ShouldStartWith("failed ");

        (await ApplyAsync(step, replays: 1)).ShouldStartWith("failed ");

        (await lane.ReceiptAsync(step.CommandId)).ShouldStartWith("failed 1 ");
    }

    [Fact]
    public async Task A_command_that_ended_three_workers_is_failed_without_another_try()
    {
        var step = Step(1);
        await lane.Database.ExecuteAsync(PlantSuspectsSql, _project, step.CommandId, ScratchLane.Lane, 3);

        (await ApplyAsync(step, redeliveries: 2)).ShouldStartWith("failed The worker ended 3 times");

        (await lane.ReceiptAsync(step.CommandId)).ShouldStartWith("failed 0 ");
        (await lane.StepsAsync(_project)).ShouldBeEmpty();
        lane.Handler.Runs.ShouldNotContain(x => x.ProjectId == _project);
        (await lane.Database.TextsAsync(SuspectsSql, step.CommandId)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_command_whose_workers_gave_it_up_and_live_is_innocent()
    {
        var step = Step(1);
        lane.Handler.Hold(step.CommandId);
        for (var round = 0; round < LaneSuspects.EndedWorkersLimit + 1; round++)
        {
            // The lease is lost in the middle of the command, and another worker takes it over.
            using var lost = new CancellationTokenSource();
            var applying = lane.NewApplier()
                .ApplyAsync(ScratchLane.Lane, [Steps.Entry(step, redeliveries: 2 + round)], lost.Token);
            await lane.Handler.HeldAsync();
            await lost.CancelAsync();
            await Should.ThrowAsync<OperationCanceledException>(() => applying);
        }

        lane.Handler.Release(step.CommandId);
        (await ApplyAsync(step, redeliveries: 9)).ShouldBe("applied");
        (await lane.StepsAsync(_project)).ShouldBe([1]);
    }

    [Fact]
    public async Task A_start_of_a_worker_that_lives_does_not_count()
    {
        var step = Step(1);
        await lane.Database.ExecuteAsync(PlantSuspectsSql, _project, step.CommandId, ScratchLane.Lane, 3);
        await lane.Database.ExecuteAsync(
            """
            insert into pipeline.workers (id, name, started_at, lease_until)
            select worker_id, 'alive', now(), now() + interval '1 hour' from pipeline.lane_suspects
            where command_id = $1 limit 1
            """,
            step.CommandId
        );

        (await ApplyAsync(step, redeliveries: 2)).ShouldBe("applied");
    }

    [Fact]
    public async Task A_command_that_was_applied_before_its_worker_ended_stays_applied()
    {
        var step = Step(1);
        await ApplyAsync(step);
        await lane.Database.ExecuteAsync(PlantSuspectsSql, _project, step.CommandId, ScratchLane.Lane, 3);

        (await ApplyAsync(step, redeliveries: 3)).ShouldBe("applied");

        (await lane.ReceiptAsync(step.CommandId)).ShouldBe("applied 0");
        (await lane.StepsAsync(_project)).ShouldBe([1]);
    }

    [Fact]
    public async Task The_same_id_with_another_content_is_rejected_and_both_are_kept()
    {
        var step = Step(1);
        await using var events = await lane.ListenAsync(_project);
        await ApplyAsync(step);
        await events.NextAsync();

        await ApplyAsync(step with { Number = 2 });

        (await events.NextAsync()).ShouldStartWith("command-rejected ");
        (await lane.ReceiptAsync(step.CommandId)).ShouldBe("applied 0");
        (await lane.StepsAsync(_project)).ShouldBe([1]);
        var kept = await lane.Database.TextsAsync(
            "select body->>'number' from pipeline.receipt_conflicts where command_id = $1",
            step.CommandId
        );
        kept.ShouldBe(["2"]);
    }

    [Fact]
    public async Task The_same_command_twice_in_one_batch_takes_effect_once()
    {
        var step = Step(1);

        await lane.ApplyAsync(Steps.Entry(step), Steps.Entry(step), Steps.Entry(step with { Number = 9 }));

        (await lane.StepsAsync(_project)).ShouldBe([1]);
        (await lane.ReceiptAsync(step.CommandId)).ShouldBe("applied 0");
    }

    [Fact]
    public async Task The_same_command_id_in_two_projects_at_once_is_two_commands()
    {
        var step = Step(1);
        var other = step with { ProjectId = Guid.NewGuid() };
        lane.Handler.HoldTogether(step.CommandId, 2); // Both have looked for the receipt, and found none.

        var outcomes = await Task.WhenAll(
            lane.NewApplier().ApplyAndTellAsync(Steps.Entry(step)),
            lane.NewApplier().ApplyAndTellAsync(Steps.Entry(other))
        );

        outcomes.ShouldBe(["applied", "applied"]);
        (await lane.StepsAsync(step.ProjectId)).ShouldBe([1]);
        (await lane.StepsAsync(other.ProjectId)).ShouldBe([1]);
    }

    [Fact]
    public async Task A_batch_whose_receipt_another_queue_writes_meanwhile_is_decided_anew()
    {
        var step = Step(1);
        lane.Handler.Hold(step.CommandId); // It has looked for the receipt, and found none.
        var applying = lane.NewApplier().ApplyAndTellAsync(Steps.Entry(step));
        await lane.Handler.HeldAsync();

        await lane.Database.ExecuteAsync(
            """
            insert into pipeline.receipts
                (command_id, scope, project_id, command, request_hash, outcome, announcements, at)
            values ($1, $2, $2, 'import-image', '\x00', 'applied', '[]', now())
            """,
            step.CommandId,
            _project
        );
        lane.Handler.Release(step.CommandId);

        (await applying).ShouldBe("rejected");
        (await lane.StepsAsync(_project)).ShouldBeEmpty();
    }

    private TakeStep Step(int number) => new(Guid.NewGuid(), _project, number);

    private async Task<string> ApplyAsync(TakeStep step, int replays = 0, int redeliveries = 0) =>
        (await lane.ApplyAsync(Steps.Entry(step, replays, redeliveries))).Single();
}

internal static class Appliers
{
    /// <summary>Applies one command in a transaction of its own, and tells its outcome.</summary>
    public static async Task<string> ApplyAndTellAsync(this LaneApplier applier, LaneEntry entry)
    {
        await applier.ApplyAsync(ScratchLane.Lane, [entry], CancellationToken.None);
        return entry.Decision!.Outcome;
    }
}
