using Pipeline.Workers.Lanes;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>What cannot be carried out gets its receipt, and its neighbours go on as if it had not been there.</summary>
public sealed class LaneFailureTests(ScratchLane lane) : IClassFixture<ScratchLane>
{
    private const string PlantSuspectSql =
        "insert into pipeline.lane_suspects (command_id, lane, starts, last_start) values ($1, $2, $3, now())";

    private const string SuspectsSql = "select starts from pipeline.lane_suspects where command_id = $1";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Guid _project = Guid.NewGuid();

    [Theory]
    [InlineData(false, "InvalidOperationException: The step is broken.")]
    [InlineData(true, "PostgresException: 22012: division by zero")]
    public async Task A_command_that_fails_fails_alone(bool inDatabase, string reason)
    {
        var steps = Enumerable.Range(1, 5).Select(Step).ToArray();
        lane.Handler.Break(steps[2].CommandId, inDatabase);
        var channel = lane.NewChannel();
        var head = channel.Open(1);
        var behind = steps[1..].Select(x => channel.Open((ulong)x.Number).DeliverAsync(Steps.Entry(x))).ToArray();

        var first = head.DeliverAsync(Steps.Entry(steps[0])); // Now all five are at hand: one batch.

        var failed = await Should.ThrowAsync<LaneCommandFailedException>(() => behind[1].WaitAsync(Patience));
        failed.Message.ShouldStartWith(reason);
        await Task.WhenAll(first, behind[0], behind[2], behind[3]).WaitAsync(Patience);
        (await lane.StepsAsync(_project)).ShouldBe([1, 2, 4, 5]);
        (await lane.ReceiptAsync(steps[2].CommandId)).ShouldStartWith($"failed 0 {reason}");
        (await lane.ReceiptAsync(steps[3].CommandId)).ShouldBe("applied 0");
        lane.Handler.Runs.ShouldContain((_project, 5));
    }

    [Fact]
    public async Task A_redelivered_failure_answers_the_same_and_a_replayed_one_is_decided_anew()
    {
        var step = Step(1);
        await using var events = await lane.ListenAsync(_project);
        lane.Handler.Break(step.CommandId);
        await Should.ThrowAsync<LaneCommandFailedException>(() => DeliverAsync(step));
        var announced = await events.NextAsync();
        announced.ShouldStartWith("command-failed ");

        lane.Handler.Mend(step.CommandId);
        await Should.ThrowAsync<LaneCommandFailedException>(() => DeliverAsync(step, redeliveries: 1));
        (await events.NextAsync()).ShouldBe(announced);
        (await lane.StepsAsync(_project)).ShouldBeEmpty();

        await DeliverAsync(step, replays: 1);
        (await lane.ReceiptAsync(step.CommandId)).ShouldBe("applied 1");
        announced = await events.NextAsync();
        announced.ShouldStartWith("step-taken ");

        await DeliverAsync(step, replays: 1, redeliveries: 1);
        await DeliverAsync(step, replays: 2);
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
        await Should.ThrowAsync<LaneCommandFailedException>(() => DeliverAsync(step));

        await Should.ThrowAsync<LaneCommandFailedException>(() => DeliverAsync(step, replays: 1));

        (await lane.ReceiptAsync(step.CommandId)).ShouldStartWith("failed 1 ");
    }

    [Fact]
    public async Task A_command_that_ended_its_worker_three_times_is_failed_without_another_try()
    {
        var step = Step(1);
        await lane.Database.ExecuteAsync(PlantSuspectSql, step.CommandId, ScratchLane.Lane, 3);

        var failed = await Should.ThrowAsync<LaneCommandFailedException>(() => DeliverAsync(step, redeliveries: 2));

        failed.Message.ShouldContain("3 times");
        (await lane.ReceiptAsync(step.CommandId)).ShouldStartWith("failed 0 ");
        (await lane.StepsAsync(_project)).ShouldBeEmpty();
        lane.Handler.Runs.ShouldNotContain(x => x.ProjectId == _project);
        (await lane.Database.TextsAsync(SuspectsSql, step.CommandId)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_command_that_was_applied_before_its_worker_ended_stays_applied()
    {
        var step = Step(1);
        await DeliverAsync(step);
        await lane.Database.ExecuteAsync(PlantSuspectSql, step.CommandId, ScratchLane.Lane, 3);

        await DeliverAsync(step, redeliveries: 3);

        (await lane.ReceiptAsync(step.CommandId)).ShouldBe("applied 0");
        (await lane.StepsAsync(_project)).ShouldBe([1]);
    }

    [Fact]
    public async Task A_suspect_is_applied_alone_and_forgotten_once_it_is_through()
    {
        var steps = Enumerable.Range(1, 3).Select(Step).ToArray();
        await lane.Database.ExecuteAsync(PlantSuspectSql, steps[1].CommandId, ScratchLane.Lane, 2);
        var channel = lane.NewChannel();
        var head = channel.Open(1);
        var suspect = channel.Open(2).DeliverAsync(Steps.Entry(steps[1], redeliveries: 2));
        var tail = channel.Open(3).DeliverAsync(Steps.Entry(steps[2]));

        await Task.WhenAll(head.DeliverAsync(Steps.Entry(steps[0])), suspect, tail).WaitAsync(Patience);

        (await lane.StepsAsync(_project)).ShouldBe([1, 2, 3]);
        lane.Handler.Runs.Where(x => x.ProjectId == _project).Select(x => x.Size).ShouldBe([1, 1, 1]);
        (await lane.Database.TextsAsync(SuspectsSql, steps[1].CommandId)).ShouldBeEmpty();
    }

    [Fact]
    public async Task The_same_id_with_another_content_is_rejected_and_both_are_kept()
    {
        var step = Step(1);
        await using var events = await lane.ListenAsync(_project);
        await DeliverAsync(step);
        await events.NextAsync();

        await DeliverAsync(step with { Number = 2 });

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
        var channel = lane.NewChannel();
        var head = channel.Open(1);
        var again = channel.Open(2).DeliverAsync(Steps.Entry(step));
        var other = channel.Open(3).DeliverAsync(Steps.Entry(step with { Number = 9 }));

        await Task.WhenAll(head.DeliverAsync(Steps.Entry(step)), again, other).WaitAsync(Patience);

        (await lane.StepsAsync(_project)).ShouldBe([1]);
        (await lane.ReceiptAsync(step.CommandId)).ShouldBe("applied 0");
    }

    private TakeStep Step(int number) => new(Guid.NewGuid(), _project, number);

    /// <summary>One delivery on a channel of its own, as after a restart.</summary>
    private Task DeliverAsync(TakeStep step, int replays = 0, int redeliveries = 0) =>
        lane.NewChannel().Open(1).DeliverAsync(Steps.Entry(step, replays, redeliveries)).WaitAsync(Patience);
}
