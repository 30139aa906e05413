using Microsoft.AspNetCore.Http;
using Pipeline.Contracts.Generation;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using static Pipeline.SystemTests.Harness.ScriptedProvider;

namespace Pipeline.SystemTests;

/// <summary>Two projects ask for the same image, and one of them changes its mind.</summary>
public sealed class GenerationAskerTests : GenerationStack
{
    private const string Model = "shared";
    private const string Prompt = "A red kite over a harbour";

    private readonly TaskCompletionSource _called = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [.. Provider.SettingsOf(Model), ("Rendering__LeaseLength", "00:00:03")];

    [Fact]
    public async Task The_other_project_gets_its_image_and_one_call_is_billed()
    {
        Provider.Script(Model, Held(_called, _released.Task, Picture()));
        HostWorker("worker-1");
        HostWorker("worker-2");
        var (mine, theirs, generation) = await BeginAsync();

        var cancel = Cancel(mine.ProjectId, generation);
        await SendAsync(cancel, cancel); // The same command twice.
        await SendAsync(Cancel(Guid.NewGuid(), generation)); // A stranger's.
        await UntilEndedAsync(mine);
        await UntilReceiptsAsync(3);
        (await ScalarAsync<string>("select state from status.generations")).ShouldBe("Rendering");
        _released.SetResult();
        await UntilEndedAsync(theirs);

        (await OutcomeAsync(mine)).ShouldBe("superseded");
        (await OutcomeAsync(theirs)).ShouldBe("applied");
        (await RowsAsync("select project_id from status.images", x => x.GetGuid(0))).ShouldBe([theirs.ProjectId]);
        (
            await RowsAsync(
                "select outcome from status.receipts where command = 'cancel-generation' order by outcome",
                x => x.GetString(0)
            )
        ).ShouldBe(["applied", "unchanged"]);
        Provider.CallsOf(Model).Length.ShouldBe(1);
        (await this.HistoryOfAsync(Prompt)).ShouldBe("Rendering 1, Saving 1, Completed 1");
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task When_both_cancel_rendering_stops_and_a_retry_is_for_its_asker_alone()
    {
        Provider.Script(Model, UntilStopped, Picture());
        HostWorker("worker-1");
        HostWorker("worker-2");
        var (mine, theirs, generation) = await BeginAsync();

        await SendAsync(Cancel(mine.ProjectId, generation));
        await UntilEndedAsync(mine);
        _stopped.Task.IsCompleted.ShouldBeFalse();
        await SendAsync(Cancel(theirs.ProjectId, generation));
        await UntilEndedAsync(mine, theirs);
        await _stopped.Task.WaitAsync(TimeSpan.FromMinutes(1)); // The worker gives its call to the provider up.
        (await ScalarAsync<string>("select state from status.generations")).ShouldBe("Cancelled");

        (await VerbRun.RunAsync(this, "retry", $"{theirs.CommandId}", "--wait", "60")).ExitCode.ShouldBe(0);
        await UntilAsync("it is applied after all", async () => await OutcomeAsync(theirs) == "applied");

        (await OutcomeAsync(mine)).ShouldBe("superseded");
        (await RowsAsync("select project_id from status.images", x => x.GetGuid(0))).ShouldBe([theirs.ProjectId]);
        Provider.CallsOf(Model).Length.ShouldBe(2);
        (await this.AttemptsOfAsync(Prompt)).ShouldBe("1 cancelled, 2 succeeded");

        // Who has cancelled may ask again, and is served from the store.
        var anew = mine with
        {
            CommandId = Guid.NewGuid(),
        };
        await AskAsync(anew);
        await UntilEndedAsync(anew);
        (await OutcomeAsync(anew)).ShouldBe("applied");
        Provider.CallsOf(Model).Length.ShouldBe(2);
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Projects_that_share_nothing_have_a_call_each_and_the_same_project_has_one()
    {
        Provider.Script(Model, Picture());
        HostWorker("worker", ("Generation__ShareRenderings", "Project"));
        var mine = Request(Model, Prompt);
        var (again, theirs) = (Another(mine) with { ProjectId = mine.ProjectId, Slot = 1 }, Another(mine));

        await AskAsync(mine, again, theirs);
        await UntilEndedAsync(mine, again, theirs);

        Provider.CallsOf(Model).Length.ShouldBe(2);
        (
            await RowsAsync(
                "select count(distinct project_id) from status.generation_targets group by generation_id",
                x => x.GetInt64(0)
            )
        ).ShouldBe([1, 1]);
        (await ScalarAsync<long>("select count(*) from status.images where state = 'shown'")).ShouldBe(3);
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    private async Task UntilStopped(HttpContext call)
    {
        _called.TrySetResult();
        try
        {
            await Silence(call);
        }
        finally
        {
            _stopped.TrySetResult();
        }
    }

    private async Task<(GenerateImage Mine, GenerateImage Theirs, Guid Generation)> BeginAsync()
    {
        var mine = Request(Model, Prompt);
        var theirs = Another(mine);
        await AskAsync(mine, theirs);
        await _called.Task.WaitAsync(TimeSpan.FromMinutes(2));
        await UntilAsync(
            "both wait for it",
            async () => await ScalarAsync<long>("select count(*) from status.generation_targets") == 2
        );
        return (mine, theirs, await ScalarAsync<Guid>("select id from status.generations"));
    }

    private static CancelGeneration Cancel(Guid project, Guid generation) =>
        new(Guid.NewGuid(), project, generation, ImageId: null);

    private async Task SendAsync(params CancelGeneration[] commands)
    {
        await using var publisher = NewPublisher();
        foreach (var command in commands)
            await publisher.PublishAsync(WireMessage.Command(command, command.CommandId, command.ProjectId), default);
    }
}
