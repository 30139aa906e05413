using System.Text.Json;
using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Settings;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Generating;

public sealed class GenerationReadsTests(ScratchServers servers) : IClassFixture<ScratchServers>, IAsyncLifetime
{
    private readonly StatusDatabase _database = new(new PublisherSettings(servers.Configuration).StatusDatabase);
    private readonly Guid _project = Guid.NewGuid();

    public Task InitializeAsync() => Task.CompletedTask;

    // Before the database is dropped: the workers' role may not end the sessions of the publisher's.
    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task Requests_show_attempt_next_attempt_lease_outcome_and_failure()
    {
        var rendering = await servers.GenerationAsync("Rendering", attempt: 2);
        var waiting = await servers.GenerationAsync("Requested", attempt: 3, failure: "429 from the provider");
        var lease = DateTimeOffset.FromUnixTimeSeconds(4_000_000_000);
        await servers.SqlAsync(
            "insert into pipeline.generation_leases values ($1, 2, 1, $2, $3)",
            rendering,
            Guid.NewGuid(),
            lease
        );
        await servers.SqlAsync(
            "update pipeline.generation_requests set due_at = $2 where correlation_id = $1",
            waiting,
            lease
        );
        await servers.SqlAsync(
            "insert into pipeline.provider_gates values ($1, $2, 'too many requests')",
            $"openai-{_project}",
            lease
        );
        await servers.TargetAsync(_project, rendering, Guid.NewGuid(), Guid.NewGuid(), ("a", 0), outcome: null);
        await servers.TargetAsync(_project, waiting, Guid.NewGuid(), Guid.NewGuid(), ("b", 1), outcome: null);
        await servers.TargetAsync(_project, Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), ("c", 2), "rejected");

        var json = await Cli.RunAsync(servers.Configuration, "generations", $"{_project}", "--json");
        var text = await Cli.RunAsync(servers.Configuration, "generations", $"{_project}");
        var open = await Cli.RunAsync(servers.Configuration, "generations", $"{_project}", "--json", "--open");

        json.Status.ShouldBe(0, json.Error);
        var rows = json.Lines.Select(x => JsonSerializer.Deserialize<TargetRow>(x, WireJson.Options)).ToList();
        rows.ConvertAll(x =>
                (x?.SceneId, x?.Slot, x?.State, x?.Attempt, x?.Outcome, x?.DueAt, x?.LeaseUntil, x?.FailureReason)
            )
            .ShouldBe(
                [
                    ("c", 2, null, null, "rejected", null, null, null),
                    ("b", 1, "Requested", 3, null, lease, null, "429 from the provider"),
                    ("a", 0, "Rendering", 2, null, null, lease, null),
                ],
                ignoreOrder: true
            );
        open.Lines.Length.ShouldBe(2);
        text.Out.ShouldContain("requests: 1 rejected, 1 rendering, 1 requested");
        text.Out.ShouldContain($"provider openai-{_project} is closed until 2096-10-02 07:06:40Z: too many requests");
    }

    [Fact]
    public async Task Watching_ends_when_every_request_has()
    {
        var generation = await servers.GenerationAsync("Completed");
        var request = Guid.NewGuid();
        await servers.TargetAsync(_project, generation, request, Guid.NewGuid(), ("a", 0), outcome: null);

        var watching = Cli.RunAsync(servers.Configuration, "generations", $"{_project}", "--watch");
        watching.IsCompleted.ShouldBeFalse();
        await servers.SqlAsync(
            "update pipeline.generation_targets set outcome = 'applied' where command_id = $1",
            request
        );
        var result = await watching.WaitAsync(TimeSpan.FromSeconds(30));

        result.Status.ShouldBe(0, result.Error);
        result.Lines[^1].ShouldBe("requests: 1 applied");
    }

    [Fact]
    public async Task Generation_is_found_by_its_id_and_by_a_request_and_shows_everything()
    {
        var generation = await servers.GenerationAsync("Abandoned", attempt: 5, seed: 9, failure: "no luck");
        var (one, two) = (Guid.NewGuid(), Guid.NewGuid());
        await servers.TargetAsync(_project, generation, one, Guid.NewGuid(), ("a", 0), "failed");
        await servers.TargetAsync(_project, generation, two, Guid.NewGuid(), ("b", 0), "failed");
        await servers.ReceiptAsync(_project, "failed", one);
        await servers.SqlAsync(
            "insert into pipeline.generation_attempts values ($1, 1, 'lost', 'no lease', null, null, null, now())",
            generation
        );

        var byId = await Cli.RunAsync(servers.Configuration, "generation", $"{generation}", "--json");
        var byRequest = await Cli.RunAsync(servers.Configuration, "generation", $"{two}", "--json");
        var text = await Cli.RunAsync(servers.Configuration, "generation", $"{two}");

        byId.Status.ShouldBe(0, byId.Error);
        byRequest.Out.ShouldBe(byId.Out);
        var status = JsonSerializer.Deserialize<JsonElement>(byId.Lines.ShouldHaveSingleItem());
        status.GetProperty("generation").GetProperty("failureReason").GetString().ShouldBe("no luck");
        status.GetProperty("attempts")[0].GetProperty("outcome").GetString().ShouldBe("lost");
        status.GetProperty("targets").GetArrayLength().ShouldBe(2);
        status.GetProperty("receipts").GetArrayLength().ShouldBe(1);
        text.Out.ShouldContain("some-model, 640 x 384, seed 9");
        text.Out.ShouldContain("transient: no luck");
        text.Lines.ShouldContain(x => x.EndsWith("lost     -       no lease", StringComparison.Ordinal));
        (await Cli.RunAsync(servers.Configuration, "generation", $"{Guid.NewGuid()}")).Status.ShouldBe(1);
    }

    [Fact]
    public async Task Storyboard_names_the_scenes_that_still_lack_a_picture_and_their_number()
    {
        var storyboard = await AskedStoryboard.WriteAsync(servers, _project);

        var before = await Cli.RunAsync(servers.Configuration, "storyboards", $"{_project}", "--json");
        await servers.ImageAsync(_project, "s2", slot: 1); // By whatever way it came.
        var after = await Cli.RunAsync(servers.Configuration, "storyboards", $"{_project}", "--json");

        var first = JsonSerializer.Deserialize<StoryboardRow>(before.Lines.ShouldHaveSingleItem(), WireJson.Options);
        (first?.CommandId, first?.Saved, first?.Requested).ShouldBe((storyboard, 3, 6));
        first.ShouldNotBeNull().MissingScenes.ShouldBe(["s2", "s3"]);
        var second = JsonSerializer.Deserialize<StoryboardRow>(after.Lines.ShouldHaveSingleItem(), WireJson.Options);
        second.ShouldNotBeNull().MissingScenes.ShouldBe(["s3"]);
        second.Saved.ShouldBe(4);
    }

    [Fact]
    public async Task Missing_asks_again_for_exactly_the_slots_that_show_nothing_and_that_nobody_works_on()
    {
        await using var route = await servers.RouteAsync("generate-image");
        var storyboard = await AskedStoryboard.WriteAsync(servers, _project);

        var result = await Cli.RunAsync(servers.Configuration, "generate-storyboard", $"{_project}", "--missing");

        result.Status.ShouldBe(0, result.Error);
        result.Error.ShouldContain("scene s3 slot 0 is still being worked on");
        var sent = await TakeAllAsync(route);
        sent.ConvertAll(x => (x.SceneId, x.Slot, x.ImageId, x.Prompt, x.Model, x.Width, x.Height, x.Seed))
            .ShouldBe([
                ("s2", 1, Image(_project, storyboard, "s2", 1), "a prompt", "some-model", 640, 384, 101),
                ("s3", 1, Image(_project, storyboard, "s3", 1), "a prompt", "some-model", 640, 384, 1),
            ]);
        sent.ShouldAllBe(x => x.Options!["quality"] == "high");
    }

    [Theory]
    [InlineData("--option", "quality=low", "low")]
    [InlineData("--model", "another-model", null)]
    public async Task Settings_of_the_last_request_yield_to_the_command_lines_and_to_another_model(
        string option,
        string value,
        string? expected
    )
    {
        await using var route = await servers.RouteAsync("generate-image");
        await AskedStoryboard.WriteAsync(servers, _project);

        string[] missing = ["generate-storyboard", $"{_project}", "--missing", option, value];
        (await Cli.RunAsync(servers.Configuration, missing)).Status.ShouldBe(0);

        var sent = await TakeAllAsync(route);
        sent.Count.ShouldBe(2);
        sent.ShouldAllBe(x => (x.Options == null ? null : x.Options["quality"]) == expected);
    }

    [Fact]
    public async Task Missing_with_nothing_missing_sends_nothing()
    {
        await servers.StoryboardAsync(Guid.NewGuid(), _project, requested: 0, isCompleted: true);

        var nothing = await Cli.RunAsync(servers.Configuration, "generate-storyboard", $"{_project}", "--missing");
        var never = await Cli.RunAsync(servers.Configuration, "generate-storyboard", $"{Guid.NewGuid()}", "--missing");

        nothing.Status.ShouldBe(0, nothing.Error);
        nothing.Out.ShouldBeEmpty();
        never.Status.ShouldBe(1);
    }

    private static async Task<List<GenerateImage>> TakeAllAsync(IChannel route)
    {
        var sent = new List<GenerateImage>();
        while (await route.BasicGetAsync("generate-image", autoAck: true) is { } got)
            sent.Add(JsonSerializer.Deserialize<GenerateImage>(got.Body.Span, WireJson.Options).ShouldNotBeNull());
        return sent;
    }

    private static Guid Image(Guid project, Guid storyboard, string scene, int slot) =>
        NameBasedGuid.Create(project, $"image {storyboard} {scene}/{slot}");
}
