using System.Text.Json;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Play;

/// <summary>Against a stand-in for the workers that does what each test tells it: a detector that cannot fail proves nothing.</summary>
public sealed class PlayTests(ScratchServers servers) : IClassFixture<ScratchServers>, IAsyncLifetime
{
    private const int SceneCount = 4;
    private const int ImagesPerScene = 3;

    private readonly ScratchFolder _folder = new();
    private readonly Guid _project = Guid.NewGuid();
    private IChannel? _scenes;
    private IChannel? _imports;
    private IChannel? _storyboards;
    private string _defined = "applied";
    private Func<string, int, string> _outcomes = (_, _) => "applied";
    private Func<ImportImage, int> _copies = _ => 1;

    public async Task InitializeAsync()
    {
        for (var scene = 1; scene <= SceneCount; scene++)
        {
            for (var slot = 0; slot < ImagesPerScene; slot++)
                _folder.Write($"pictures/scene-{scene}/{slot}.png", $"picture {scene} {slot}");
        }

        _scenes = await ConsumeAsync<DefineScenes>("define-scenes", DefineAsync);
        _imports = await ConsumeAsync<ImportImage>("import-image", SaveAsync);
        _storyboards = await ConsumeAsync<GenerateStoryboard>("generate-storyboard", GenerateAsync);
    }

    public async Task DisposeAsync()
    {
        foreach (var channel in new[] { _scenes, _imports, _storyboards })
        {
            if (channel is not null)
                await channel.DisposeAsync();
        }

        _folder.Dispose();
    }

    [Fact]
    public async Task Complete_storyboard_ends_with_a_table_and_one_json_object()
    {
        var result = await PlayAsync();

        result.Status.ShouldBe(0, result.Error);
        result.Lines[0].ShouldMatch("^index +scene +images +first url$");
        result.Lines[1].ShouldMatch("^1 +scene-1 +3/3 +http://127.0.0.1:0/images/.+/1$");
        var last = JsonSerializer.Deserialize<JsonElement>(result.Lines[^1]);
        last.GetProperty("scenes").GetInt32().ShouldBe(4);
        last.GetProperty("images").GetInt32().ShouldBe(12);
        last.GetProperty("missing").GetArrayLength().ShouldBe(0);
        last.GetProperty("duplicates").GetInt32().ShouldBe(0);
        last.GetProperty("receipts").GetProperty("applied").GetInt32().ShouldBe(25);
        last.GetProperty("seconds").GetDouble().ShouldBeInRange(0, 60);
        last.GetProperty("project").GetGuid().ShouldBe(_project);
    }

    [Fact]
    public async Task Picture_that_is_lost_behind_an_applied_receipt_is_missing()
    {
        // The failure that this project exists to end: everybody says "saved", and the picture is not there.
        _copies = x => x is { SceneId: "scene-3", Slot: 1 } ? 0 : 1;

        var result = await PlayAsync("--json");

        result.Status.ShouldBe(1);
        result.Lines.ShouldHaveSingleItem().ShouldContain("\"images\":11,\"missing\":[\"scene-3\"]");
    }

    [Fact]
    public async Task Picture_that_is_there_twice_is_a_duplicate()
    {
        _copies = x => x is { SceneId: "scene-2", Slot: 0 } ? 2 : 1;

        var result = await PlayAsync("--json");

        result.Status.ShouldBe(1);
        result.Lines.ShouldHaveSingleItem().ShouldContain("\"duplicates\":1");
    }

    [Fact]
    public async Task Picture_that_is_not_in_the_directory_is_missing_too()
    {
        File.Delete(Path.Combine(_folder.Path, "pictures", "scene-1", "2.png"));

        var result = await PlayAsync("--json");

        result.Status.ShouldBe(1);
        result.Error.ShouldContain("scene scene-1: 2 of 3 pictures are in the directory");
        result.Lines.ShouldHaveSingleItem().ShouldContain("\"missing\":[\"scene-1\"]");
    }

    [Fact]
    public async Task Folder_that_names_no_scene_is_refused()
    {
        _folder.Write("pictures/scene-9/0.png");

        var result = await PlayAsync();

        result.Status.ShouldBe(2);
        result.Error.ShouldContain("scene-9");
    }

    [Fact]
    public async Task Generated_storyboard_ends_with_the_same_table_and_json_object()
    {
        var result = await GenerateAsync();

        result.Status.ShouldBe(0, result.Error);
        result.Lines[1].ShouldMatch("^1 +scene-1 +3/3 +http://127.0.0.1:0/images/.+/1$");
        var last = JsonSerializer.Deserialize<JsonElement>(result.Lines[^1]);
        last.EnumerateObject()
            .Select(x => x.Name)
            .ShouldBe(["scenes", "images", "missing", "receipts", "duplicates", "seconds", "project"]);
        last.GetProperty("images").GetInt32().ShouldBe(12);
        last.GetProperty("missing").GetArrayLength().ShouldBe(0);
        last.GetProperty("receipts").GetProperty("applied").GetInt32().ShouldBe(14);
        result.Error.ShouldContain("images shown 12/12  generated 12/12");
    }

    [Fact]
    public async Task Generation_that_failed_leaves_its_scene_missing()
    {
        _outcomes = (scene, slot) => (scene, slot) == ("scene-2", 1) ? "failed" : "applied";

        var result = await GenerateAsync("--json");

        result.Status.ShouldBe(1);
        result.Lines.ShouldHaveSingleItem().ShouldContain("\"images\":11,\"missing\":[\"scene-2\"]");
        result.Lines[0].ShouldContain("\"failed\":1");
    }

    [Fact]
    public async Task Refused_scenes_end_the_play_at_once_with_the_reason()
    {
        _defined = "rejected";

        var result = await GenerateAsync("--json");

        result.Status.ShouldBe(1);
        result.Lines.ShouldHaveSingleItem().ShouldContain("\"images\":0");
        result.Error.ShouldContain("was rejected: because");
    }

    private Task<CliResult> PlayAsync(params string[] more) =>
        RunAsync(["--pictures", Path.Combine(_folder.Path, "pictures"), .. more]);

    private Task<CliResult> GenerateAsync(params string[] more) => RunAsync(more);

    private Task<CliResult> RunAsync(string[] more)
    {
        var scenes = Enumerable
            .Range(1, SceneCount)
            .Select(x => new
            {
                id = $"scene-{x}",
                index = x,
                prompt = "a kite",
            });
        var file = _folder.Write("s.json", JsonSerializer.Serialize(new { imagesPerScene = ImagesPerScene, scenes }));
        string[] args = ["play", file, "--project", _project.ToString()];
        // The time-out is far longer than the tests take: each of them ends because everything has been answered.
        return Cli.RunAsync(servers.Configuration, [.. args, "--timeout", "120", .. more])
            .WaitAsync(TimeSpan.FromSeconds(60));
    }

    private async Task<IChannel> ConsumeAsync<T>(string queue, Func<T, Task> handle)
        where T : class
    {
        var channel = await servers.RouteAsync(queue);
        await channel.QueuePurgeAsync(queue);
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, delivery) =>
            handle(
                JsonSerializer.Deserialize<T>(delivery.Body.Span, WireJson.Options) ?? throw new JsonException("null")
            );
        await channel.BasicConsumeAsync(queue, autoAck: true, consumer);
        return channel;
    }

    private async Task DefineAsync(DefineScenes command)
    {
        await servers.ProjectAsync(command.ProjectId, version: 1);
        foreach (var scene in command.Scenes)
            await servers.SceneAsync(command.ProjectId, scene.Id, scene.Index);
        await servers.ReceiptAsync(command.ProjectId, _defined, command.CommandId);
    }

    private async Task GenerateAsync(GenerateStoryboard command)
    {
        await servers.ReceiptAsync(command.ProjectId, "applied", command.CommandId);
        foreach (var scene in Enumerable.Range(1, SceneCount).Select(x => $"scene-{x}"))
        {
            for (var slot = 0; slot < command.ImagesPerScene; slot++)
            {
                if (_outcomes(scene, slot) == "applied")
                    await servers.ImageAsync(command.ProjectId, scene, slot);
                var request = NameBasedGuid.Create(command.CommandId, $"{scene}/{slot}");
                await servers.ReceiptAsync(command.ProjectId, _outcomes(scene, slot), request);
            }
        }
    }

    private async Task SaveAsync(ImportImage command)
    {
        for (var i = 0; i < _copies(command); i++)
            await servers.ImageAsync(command.ProjectId, command.SceneId ?? "", command.Slot);
        var save = await servers.ReceiptAsync(command.ProjectId, "applied");
        await servers.ReceiptAsync(command.ProjectId, "applied", command.CommandId, save);
    }
}
