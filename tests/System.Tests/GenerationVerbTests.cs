using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using static Pipeline.SystemTests.Harness.ScriptedProvider;

namespace Pipeline.SystemTests;

/// <summary>Generation as a person steers it: the publisher's verbs against workers and a provider that stumbles.</summary>
public sealed class GenerationVerbTests : GenerationStack
{
    private const string Model = "painter";
    private const string FailingPrompt = "The prompt of scene 2.";

    private readonly Guid _project = Guid.NewGuid();

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [.. Provider.SettingsOf(Model), ("Generation__AttemptLimit", "1")];

    [Fact]
    public async Task Storyboard_that_lacks_pictures_is_told_and_completed_by_retry_and_by_one_command()
    {
        Provider.Script(Model, Picture());
        Provider.Script(FailingPrompt, Error(500, "server_error"));
        HostWorker("worker");
        await using (var publisher = NewPublisher())
            await publisher.PublishAsync(Commands.Storyboard(_project, 3).ToWire(), CancellationToken.None);
        await UntilReceiptsAsync(1);

        var generated = await RunAsync(
            $"generate-storyboard {_project} --images 2 --model {Model} --width 64 --height 64 --wait 240"
        );
        generated.ExitCode.ShouldBe(1, generated.Error);
        generated.Out.ShouldMatch("4/6 .*scene-2");
        await ShouldLackAsync(saved: 4, "scene-2");

        // What became of each: attempts, error and outcome.
        var listed = (await RunAsync($"generations {_project} --json")).Objects();
        listed.Count.ShouldBe(6);
        var failed = listed.Where(x => x.GetProperty("outcome").GetString() == "failed").ToArray();
        failed.Select(x => x.GetProperty("sceneId").GetString()).ShouldBe(["scene-2", "scene-2"]);
        var generation = failed
            .Single(x => x.GetProperty("slot").GetInt32() == 0)
            .GetProperty("generationId")
            .GetGuid();
        var shown = (await RunAsync($"generation {generation} --json")).Objects().ShouldHaveSingleItem();
        shown.GetProperty("generation").GetProperty("state").GetString().ShouldBe("Abandoned");
        var attempt = shown.GetProperty("attempts").EnumerateArray().ShouldHaveSingleItem();
        attempt.GetProperty("outcome").GetString().ShouldBe("transient");
        attempt.GetProperty("reason").GetString().ShouldBe("The provider answered 500 server_error: No.");

        // The provider is mended: one by hand, the rest by the one command.
        Provider.Script(FailingPrompt, Picture());
        (await RunAsync($"retry {generation} --project {_project} --wait 120")).ExitCode.ShouldBe(0);
        await UntilAsync("five are shown", async () => await ShownAsync() == 5);
        await ShouldLackAsync(saved: 5, "scene-2");
        var calls = Provider.CallsOf(FailingPrompt).Length;
        calls.ShouldBe(3);

        var missing = await RunAsync($"generate-storyboard {_project} --missing --wait 240 --json");
        missing.ExitCode.ShouldBe(0, missing.Error);
        var asked = missing.Objects().Where(x => x.TryGetProperty("confirmed", out _)).ShouldHaveSingleItem();
        asked.GetProperty("sceneId").GetString().ShouldBe("scene-2");
        asked.GetProperty("slot").GetInt32().ShouldBe(1);
        await UntilAsync("all are shown", async () => await ShownAsync() == 6);
        await ShouldLackAsync(saved: 6);

        var again = await RunAsync($"generate-storyboard {_project} --missing");
        again.ExitCode.ShouldBe(0);
        again.Error.ShouldContain("nothing to ask for again");
        Provider.CallsOf(FailingPrompt).Length.ShouldBe(calls + 1);
    }

    [Fact]
    public async Task Single_picture_is_watched_until_it_is_there()
    {
        var called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Provider.Script(Model, Held(called, released.Task, Picture()));
        HostWorker("worker");

        var generate = await RunAsync(
            $"generate --project {_project} --slot 0 --prompt kite --model {Model} --width 64 --height 64 --json"
        );
        generate.ExitCode.ShouldBe(0, generate.Error);
        var command = generate.Objects().ShouldHaveSingleItem().GetProperty("commandId").GetGuid();
        await called.Task.WaitAsync(TimeSpan.FromMinutes(2));

        await using var watch = VerbProcess.Start(this, "generations", $"{_project}", "--watch");
        await UntilAsync(
            "it is seen being rendered",
            () => Task.FromResult(watch.Out.Contains("Rendering", StringComparison.Ordinal))
        );
        watch.HasExited.ShouldBeFalse();
        watch.Out.ShouldContain($"{command}");
        released.SetResult();
        await watch.EndAsync();

        watch.ExitCode.ShouldBe(0, watch.Error);
        watch.Out.TrimEnd().ShouldEndWith("requests: 1 applied");
        (await ShownAsync()).ShouldBe(1);
    }

    private Task<VerbRun> RunAsync(string line) => VerbRun.RunAsync(this, line.Split(' '));

    private async Task ShouldLackAsync(int saved, params string[] scenes)
    {
        var storyboard = (await RunAsync($"storyboards {_project} --json")).Objects().ShouldHaveSingleItem();
        storyboard.GetProperty("requested").GetInt32().ShouldBe(6);
        storyboard.GetProperty("saved").GetInt32().ShouldBe(saved);
        storyboard.GetProperty("missingScenes").EnumerateArray().Select(x => x.GetString()).ShouldBe(scenes);
    }

    private Task<long> ShownAsync() =>
        ScalarAsync<long>("select count(*) from status.images where state = 'shown' and project_id = $1", _project);
}
