using System.Text;
using System.Text.Json;
using Pipeline.Contracts.DeadLetters;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.DeadLetters;

/// <summary>What a replay sends, and what it leaves. No worker runs, so the test sees the messages as they are sent.</summary>
public sealed class ReplayTests(ScratchDesk desk) : IClassFixture<ScratchDesk>
{
    [Fact]
    public async Task Message_goes_back_as_it_came_with_one_replay_more()
    {
        var queue = await desk.QueueAsync();
        var project = Guid.NewGuid();
        var id = (await desk.FailAsync(queue, 1, project: project)).Single();

        (await desk.RunAsync("replay", id.ToString(), "--as", "jane", "--reason", "mended")).Status.ShouldBe(0);

        var sent = (await desk.DrainAsync(queue)).Single();
        sent.RoutingKey.ShouldBe(project.ToString());
        sent.BasicProperties.MessageId.ShouldBe(id.ToString());
        sent.BasicProperties.CorrelationId.ShouldBe("correlation");
        sent.BasicProperties.Type.ShouldBe("save-image");
        Encoding.UTF8.GetString(sent.Body.Span).ShouldBe("""{"number":0}""");
        var headers = sent.BasicProperties.Headers!;
        (headers.TryGetValue("x-delivery-count", out var deliveries) ? deliveries : 0L).ShouldBe(0L); // The broker's own.
        headers
            .Keys.Except(["x-delivery-count", "x-dotnet-pub-seq-no"], StringComparer.Ordinal) // This test's own client.
            .Order(StringComparer.Ordinal)
            .ShouldBe(["number", "x-mine", "x-replay-count", "x-replay-run"]);
        headers["x-replay-count"].ShouldBe(1);
        headers["number"].ShouldBe(42L);
        (await desk.CountAsync(WireNames.ErrorQueue(queue))).ShouldBe(0u);
    }

    [Fact]
    public async Task Selection_goes_in_the_order_of_the_queue_and_the_rest_stays_in_its_own()
    {
        var queue = await desk.QueueAsync();
        var project = Guid.NewGuid();
        var chosen = new List<Guid>();
        var others = new List<Guid>();
        for (var i = 0; i < 60; i++)
        {
            others.AddRange(await desk.FailAsync(queue, 20, reason: "Another."));
            chosen.AddRange(await desk.FailAsync(queue, 2, reason: "This one.", project: project));
        }

        var group = (await desk.RunAsync("list", "--queue", queue, "--project", project.ToString())).Objects.Single();
        var run = await desk.RunAsync("replay", "--group", group.GetProperty("group").GetString()!);

        run.Objects.Single().GetProperty("handled").GetInt32().ShouldBe(chosen.Count);
        (await desk.DrainAsync(queue))
            .Select(x => x.BasicProperties.MessageId)
            .ShouldBe(chosen.Select(x => x.ToString()));
        (await desk.DrainAsync(WireNames.ErrorQueue(queue)))
            .Select(x => x.BasicProperties.MessageId)
            .ShouldBe(others.Select(x => x.ToString()));
    }

    [Fact]
    public async Task Replay_is_recorded_before_and_after_it_is_done()
    {
        var queue = await desk.QueueAsync();
        await desk.DrainAsync("record-dead-letter-actions");
        var id = (await desk.FailAsync(queue, 1)).Single();

        await desk.RunAsync("replay", id.ToString(), "--as", "jane", "--reason", "mended");

        var records = (await desk.DrainAsync("record-dead-letter-actions"))
            .Select(x => JsonSerializer.Deserialize<RecordDeadLetterActions>(x.Body.Span, WireJson.Options)!)
            .ToArray();
        records.Length.ShouldBe(2);
        records.ShouldAllBe(x => x.By == "jane" && x.Reason == "mended" && x.RunId == records[0].RunId);
        var (begun, done) = (records[0].Steps.Single(), records[1].Steps.Single());
        begun.DoneAt.ShouldBeNull();
        done.DoneAt.ShouldNotBeNull();
        done.ActionId.ShouldBe(begun.ActionId);
        (begun.Action, begun.MessageId, begun.Replays).ShouldBe(("replay", id.ToString(), 1));
    }

    [Fact]
    public async Task Message_that_has_no_queue_to_go_to_stays_a_dead_letter()
    {
        var queue = await desk.QueueAsync();
        var id = (await desk.FailAsync(queue, 1)).Single();
        await desk.UnbindAsync(queue);

        var run = await desk.RunAsync("replay", id.ToString());

        run.Status.ShouldBe(1);
        run.Error.ShouldContain("No queue is bound");
        (await desk.CountAsync(WireNames.ErrorQueue(queue))).ShouldBe(1u);
    }

    [Fact]
    public async Task Canary_is_refused_for_messages_that_nothing_answers()
    {
        var queue = await desk.QueueAsync();
        await desk.FailAsync(queue, 1, type: "render-image");

        var run = await desk.RunAsync("replay", "--queue", queue, "--canary", "1");

        run.Status.ShouldBe(2);
        run.Error.ShouldContain("render-image");
        (await desk.CountAsync(WireNames.ErrorQueue(queue))).ShouldBe(1u);
    }

    [Fact]
    public async Task Lane_command_reaches_its_lane_and_no_other_queue()
    {
        var lane = "project-lane-00";
        await desk.LaneAsync(lane);
        var id = (await desk.FailAsync(lane, 1, project: Guid.NewGuid())).Single();

        (await desk.RunAsync("replay", id.ToString())).Status.ShouldBe(0);

        (await desk.DrainAsync(lane)).Single().Exchange.ShouldBe(WireNames.LanesExchange);
        (await desk.CountAsync("also-bound-to-save-image")).ShouldBe(0u);
    }
}
