using Npgsql;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>
/// The programs in <c>examples</c>, each in its own language and with the rights of a foreign service, against a worker
/// and a publisher.
/// </summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class ExampleTests(ExamplePipeline pipeline, ITestOutputHelper output) : IClassFixture<ExamplePipeline>
{
    private const int Scenes = 20;
    private const int Pictures = 60;

    // Debian's: another python3 on the path has no pika.
    private const string Python = "/usr/bin/python3";

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(8);

    [Fact]
    public Task Publisher_in_Python_drives_the_sample_storyboard_to_the_end() =>
        DrivesTheSampleAsync([Python, "examples/python/publish_storyboard.py"]);

    [Fact]
    public async Task Publisher_in_JavaScript_drives_the_sample_storyboard_to_the_end() =>
        await DrivesTheSampleAsync(["node", await InstalledJavaScriptAsync()]);

    [Fact]
    public Task Publisher_with_RabbitMQ_Client_alone_drives_the_sample_storyboard_to_the_end() =>
        DrivesTheSampleAsync([
            "dotnet",
            Built("PublishStoryboardRabbitMqClient", "publish-storyboard-rabbitmq-client"),
        ]);

    [Fact]
    public Task Publisher_with_MassTransit_drives_the_sample_storyboard_to_the_end() =>
        DrivesTheSampleAsync(["dotnet", Built("PublishStoryboardMassTransit", "publish-storyboard-masstransit")]);

    [Fact]
    public Task Publisher_in_bash_drives_the_sample_storyboard_to_the_end() =>
        DrivesTheSampleAsync(["bash", "examples/bash/publish-storyboard.sh"]);

    [Fact]
    public async Task Each_says_clearly_what_is_wrong()
    {
        string[][] programs =
        [
            [Python, "examples/python/publish_storyboard.py"],
            ["node", await InstalledJavaScriptAsync()],
            ["dotnet", Built("PublishStoryboardRabbitMqClient", "publish-storyboard-rabbitmq-client")],
            ["dotnet", Built("PublishStoryboardMassTransit", "publish-storyboard-masstransit")],
            ["bash", "examples/bash/publish-storyboard.sh"],
        ];
        using var folder = new ScratchFolder();
        var storyboard = Path.Combine(folder.Path, "wrong.json");
        await File.WriteAllTextAsync(
            storyboard,
            """{ "imagesPerScene": 0, "scenes": [{ "id": "scene-1", "index": 1, "prompt": "a red kite" }] }"""
        );

        foreach (var program in programs)
        {
            var run = await RunAsync([.. program, storyboard]);
            run.ExitCode.ShouldBe(1, run.Output);
            run.Output.ShouldContain("error: ");
            run.Output.ShouldContain("imagesPerScene: must be 1 to 10.");
            run.Output.ShouldNotContain("   at "); // A stack of .NET or JavaScript.
            run.Output.ShouldNotContain("Traceback");
        }
    }

    private async Task DrivesTheSampleAsync(string[] command)
    {
        var run = await RunAsync(command);

        run.ExitCode.ShouldBe(0, run.Output);
        run.Output.ShouldContain($"{Pictures} of {Pictures} pictures saved");
        // The program says so; the database is the judge.
        var line = run.Output.Split('\n').First(x => x.StartsWith("project ", StringComparison.Ordinal));
        var project = Guid.Parse(line["project ".Length..].Trim());
        (
            await pipeline.ScalarAsync<long>(
                "select count(*) from status.images where project_id = $1 and state = 'shown'",
                project
            )
        ).ShouldBe(Pictures);
        // The outline without prompts was published before the whole storyboard, and so it is the latter that stands.
        (
            await pipeline.ScalarAsync<long>(
                "select count(*) from pipeline.scenes where project_id = $1 and prompt is not null",
                project
            )
        ).ShouldBe(Scenes);
    }

    private async Task<ForeignProgram> RunAsync(string[] command)
    {
        var run = await ForeignProgram.RunAsync(command, pipeline.ClientSettings, Limit);
        output.WriteLine($"{string.Join(' ', command)}: exit status {run.ExitCode}\n{run.Output}");
        return run;
    }

    /// <summary>Installs the example's packages as its README says; needs the npm registry, or a cache that has them.</summary>
    private static async Task<string> InstalledJavaScriptAsync()
    {
        var folder = Path.Combine(Repository.Root, "examples/javascript");
        var install = await ForeignProgram.RunAsync(
            ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--fetch-retries=1"],
            new Dictionary<string, string>(StringComparer.Ordinal),
            TimeSpan.FromMinutes(3),
            folder
        );
        install.ExitCode.ShouldBe(
            0,
            $"'npm ci' in examples/javascript failed: is npm's registry reachable from here?\n{install.Output}"
        );
        return Path.Combine(folder, "publish-storyboard.js");
    }

    private static string Built(string project, string assembly)
    {
        // artifacts/bin/PROJECT/CONFIGURATION
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        return Path.Combine(own.Parent!.Parent!.FullName, project, own.Name, $"{assembly}.dll");
    }
}

/// <summary>A worker, a publisher and a foreign service, each with the rights of its RabbitMQ user and no more.</summary>
public sealed class ExamplePipeline : Stack
{
    private PublisherProcess? _publisher;

    internal IReadOnlyDictionary<string, string> ClientSettings { get; private set; } =
        new Dictionary<string, string>(StringComparer.Ordinal);

    protected override bool IsCopied => false; // The login of the workers makes the topology.

    protected override Task<Uri> WorkersLoginAsync() => CreateUserAsync("workers");

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        // MassTransit declares what it sends to, so its example has exchanges of its own.
        const string Own = "client-masstransit-";
        string[] commands = ["define-scenes", "generate-storyboard"];
        HostWorker("worker", ("Messaging__ClientExchanges", string.Join(',', commands.Select(x => $"{Own}{x}={x}"))));
        var database = new NpgsqlConnectionStringBuilder(Settings["ConnectionStrings__Postgres"]).Database;
        _publisher = await PublisherProcess.ServeAsync(
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["Publisher__RabbitMq"] = (await CreateUserAsync("publisher")).ToString(),
                ["ConnectionStrings__Status"] = new NpgsqlConnectionStringBuilder(Required("ConnectionStrings__Status"))
                {
                    Database = database,
                }.ConnectionString,
            }
        );
        ClientSettings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["PIPELINE_BROKER"] = (await CreateUserAsync("client", "management")).ToString(),
            ["PIPELINE_API"] = _publisher.Url.ToString().TrimEnd('/'),
            ["PIPELINE_MANAGEMENT"] = Required("Management__Url"),
        };
    }

    public override async Task DisposeAsync()
    {
        if (_publisher is not null)
            await _publisher.DisposeAsync();
        await base.DisposeAsync();
    }
}
