using System.Text.Json;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Publishing;

public sealed class CommandLineTests(ScratchServers servers) : IClassFixture<ScratchServers>, IDisposable
{
    private const string Scenes = """{"scenes":[{"id":"scene-1","index":1,"prompt":"a kite"}]}""";
    private readonly ScratchFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("fly")]
    [InlineData("play", "nowhere.json")]
    [InlineData("save-image", "--project", "x")]
    [InlineData("define-scenes", "nowhere.json")]
    [InlineData("import", "nowhere", "--project", "11111111-1111-1111-1111-111111111111")]
    [InlineData("import", "x", "--project", "00000000-0000-0000-0000-000000000000")]
    public async Task Wrong_usage_is_told_on_stderr_with_status_2(params string[] args)
    {
        var result = await Cli.RunAsync(servers.Configuration, args);

        result.Status.ShouldBe(2);
        result.Out.ShouldBeEmpty();
        result.Error.ShouldStartWith("error: ");
        result.Error.ShouldNotContain("   at ");
    }

    [Theory]
    [InlineData("define-scenes")]
    [InlineData("save-image")]
    [InlineData("import")]
    [InlineData("status")]
    [InlineData("receipts")]
    [InlineData("lanes")]
    [InlineData("generate")]
    [InlineData("generate-storyboard")]
    [InlineData("generations")]
    [InlineData("generation")]
    [InlineData("storyboards")]
    [InlineData("retry")]
    [InlineData("cancel")]
    [InlineData("play")]
    [InlineData("serve")]
    public async Task Each_verb_has_help_with_an_example(string verb)
    {
        var result = await Cli.RunAsync(servers.Configuration, verb, "--help");

        result.Status.ShouldBe(0);
        result.Out.ShouldContain("Example");
    }

    [Theory]
    [InlineData("amqp://a:b@127.0.0.1:9/", 1, "does not answer at the address in Publisher__RabbitMq")]
    [InlineData("nonsense", 2, "Publisher__RabbitMq must be")]
    public async Task Broker_that_cannot_be_reached_is_told_in_one_line(string broker, int status, string said)
    {
        var result = await Cli.RunAsync(
            Cli.Settings(("Publisher:RabbitMq", broker)),
            "define-scenes",
            _folder.Write("s.json", Scenes)
        );

        result.Status.ShouldBe(status);
        result.Error.ShouldContain(said);
        result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(1);
    }

    [Fact]
    public async Task Refused_credentials_are_told_and_not_repeated()
    {
        var wrong = new UriBuilder(Servers.Broker) { Password = "wrong-one" }.Uri.ToString();

        var result = await Cli.RunAsync(
            Cli.Settings(("Publisher:RabbitMq", wrong)),
            "define-scenes",
            _folder.Write("s.json", Scenes)
        );

        result.Status.ShouldBe(1);
        result.Error.ShouldBe("error: RabbitMQ refused the credentials in Publisher__RabbitMq.\n");
    }

    [Fact]
    public async Task Storyboard_goes_out_once_and_its_ids_are_printed()
    {
        await using var route = await servers.RouteAsync("define-scenes");
        await route.QueuePurgeAsync("define-scenes");
        var project = Guid.NewGuid();

        var result = await Cli.RunAsync(
            servers.Configuration,
            "define-scenes",
            _folder.Write("s.json", Scenes),
            "--project",
            project.ToString(),
            "--json"
        );

        result.Status.ShouldBe(0, result.Error);
        var printed = JsonSerializer.Deserialize<JsonElement>(result.Lines.ShouldHaveSingleItem());
        var sent = Read<DefineScenes>(await route.BasicGetAsync("define-scenes", autoAck: true));
        sent.ProjectId.ShouldBe(project);
        sent.CommandId.ShouldBe(printed.GetProperty("commandId").GetGuid());
        sent.Scenes.ShouldBe([new SceneDefinition("scene-1", 1, "a kite")]);
        (await route.MessageCountAsync("define-scenes")).ShouldBe(0u);
    }

    [Fact]
    public async Task Command_without_a_route_names_the_exchange_and_fails()
    {
        await using var route = await servers.RouteAsync("save-image", bind: false);

        var result = await Cli.RunAsync(servers.Configuration, SaveImage());

        result.Status.ShouldBe(1);
        result.Out.ShouldBeEmpty();
        result.Error.ShouldContain("'save-image'");
        result.Error.ShouldContain("Are the workers running?");
    }

    [Fact]
    public async Task Import_stores_the_bytes_first_and_a_second_run_sends_the_same_commands()
    {
        await using var route = await servers.RouteAsync("import-image");
        await route.QueuePurgeAsync("import-image");
        for (var slot = 0; slot < 40; slot++)
            _folder.Write($"pictures/scene-1/{slot}.png", $"picture {slot}");
        string[] args =
        [
            "import",
            Path.Combine(_folder.Path, "pictures"),
            "--project",
            Guid.NewGuid().ToString(),
            "--json",
        ];

        var first = await Cli.RunAsync(servers.Configuration, args);
        var commands = new List<ImportImage>();
        while (await route.BasicGetAsync("import-image", autoAck: true) is { } got)
            commands.Add(Read<ImportImage>(got));
        var second = await Cli.RunAsync(servers.Configuration, args);
        var again = new List<ImportImage>();
        while (await route.BasicGetAsync("import-image", autoAck: true) is { } got)
            again.Add(Read<ImportImage>(got));

        first.Status.ShouldBe(0, first.Error);
        first.Lines.Length.ShouldBe(40);
        second.Status.ShouldBe(0, second.Error);
        commands.Select(x => x.Slot).Order().ShouldBe(Enumerable.Range(0, 40));
        again.OrderBy(x => x.Slot).ShouldBe(commands.OrderBy(x => x.Slot));
        foreach (var command in commands)
        {
            using var stored = await servers.Store.GetObjectAsync(servers.Bucket, command.UploadKey);
            using var text = new StreamReader(stored.ResponseStream);
            (await text.ReadToEndAsync()).ShouldBe($"picture {command.Slot}");
        }
    }

    private static string[] SaveImage()
    {
        var (project, image, hash) = (Guid.NewGuid(), Guid.NewGuid(), new string('a', 64));
        return $"save-image --project {project} --image {image} --scene s --slot 0 --key projects/{project}/{image}/{hash}.png --sha256 {hash} --content-type image/png --bytes 1 --width 1 --height 1".Split(
            ' '
        );
    }

    private static T Read<T>(BasicGetResult? got)
        where T : class =>
        JsonSerializer.Deserialize<T>(
            (got ?? throw new InvalidOperationException("Nothing was sent.")).Body.Span,
            WireJson.Options
        ) ?? throw new InvalidOperationException("null was sent.");
}
