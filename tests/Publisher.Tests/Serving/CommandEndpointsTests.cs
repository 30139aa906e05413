using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Serving;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Serving;

public sealed class CommandEndpointsTests(ScratchServers servers) : ServedPublisher(servers)
{
    private const string Import = """{"sceneId":"s","slot":0,"sourceUrl":"https://example.org/a.png"}""";

    // A classic queue, whose limit is exact: it takes nothing.
    private static readonly Dictionary<string, object?> NoRoom = new(StringComparer.Ordinal)
    {
        ["x-max-length"] = 0,
        ["x-overflow"] = "reject-publish",
    };

    [Fact]
    public async Task Storyboard_is_accepted_once_the_broker_has_it()
    {
        await using var route = await Scratch.RouteAsync("define-scenes");
        await route.QueuePurgeAsync("define-scenes");

        using var answer = await PostAsync("scenes", """{"scenes":[{"id":"s","index":1,"prompt":"é"}]}""");

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var commandId = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("commandId").GetGuid();
        answer.Headers.Location.ShouldNotBeNull().ToString().ShouldBe($"/projects/{Project}/receipts/{commandId}");
        var got = await route.BasicGetAsync("define-scenes", autoAck: true);
        var sent = JsonSerializer
            .Deserialize<DefineScenes>(got.ShouldNotBeNull().Body.Span, WireJson.Options)
            .ShouldNotBeNull();
        sent.ProjectId.ShouldBe(Project);
        sent.CommandId.ShouldBe(commandId);
        sent.Scenes.ShouldBe([new SceneDefinition("s", 1, "é")]);
    }

    [Fact]
    public async Task Same_import_twice_is_the_same_command()
    {
        await using var route = await Scratch.RouteAsync("import-image");
        const string body = """{"sceneId":"s","slot":0,"sourceUrl":"https://example.org/a.png"}""";

        var first = await (await PostAsync("images/import", body)).Content.ReadAsStringAsync();
        var second = await (await PostAsync("images/import", body)).Content.ReadAsStringAsync();

        first.ShouldContain("commandId");
        second.ShouldBe(first);
    }

    [Theory]
    [InlineData("scenes", """{"scenes":[{"id":"s","index":0}]}""", 400, "bad-request")]
    [InlineData("scenes", """{"scenes":""", 400, "bad-request")]
    [InlineData("scenes", "null", 400, "bad-request")]
    [InlineData(
        "scenes",
        """{"projectId":"11111111-1111-1111-1111-111111111111","scenes":[{"id":"s","index":1}]}""",
        400,
        "bad-request"
    )]
    [InlineData("images/import", """{"slot":0,"sourceUrl":"file:///etc/passwd"}""", 400, "bad-request")]
    [InlineData("images/import", """{"sourceUrl":"https://example.org/a.png"}""", 400, "bad-request")]
    public async Task Body_that_cannot_be_right_is_refused(string path, string body, int status, string type) =>
        await ShouldBeProblemAsync(await PostAsync(path, body), status, type);

    [Fact]
    public async Task Body_beyond_the_limit_is_refused() =>
        await ShouldBeProblemAsync(
            await PostAsync("scenes", new string(' ', CommandEndpoints.ScenesByteLimit + 1)),
            413,
            "body-too-large"
        );

    [Fact]
    public async Task Command_for_a_full_queue_is_refused_with_the_time_to_try_again()
    {
        await using var channel = await Scratch.RouteAsync("import-image", bind: false);
        await channel.QueueDeclareAsync("full", durable: true, exclusive: false, autoDelete: false, NoRoom);
        await channel.QueueBindAsync("full", "import-image", routingKey: "");
        try
        {
            using var answer = await PostAsync("images/import", Import);

            await ShouldBeProblemAsync(answer, 503, "queue-full");
            answer.Headers.RetryAfter.ShouldNotBeNull().Delta.ShouldBe(TimeSpan.FromSeconds(10));
            (await answer.Content.ReadAsStringAsync()).ShouldContain("'import-image' is full");
        }
        finally
        {
            await channel.QueueDeleteAsync("full");
        }
    }

    [Fact]
    public async Task Command_line_says_what_to_do_about_a_full_queue()
    {
        await using var channel = await Scratch.RouteAsync("define-scenes", bind: false);
        await channel.QueueDeclareAsync("full", durable: true, exclusive: false, autoDelete: false, NoRoom);
        await channel.QueueBindAsync("full", "define-scenes", routingKey: "");
        using var folder = new ScratchFolder();
        var file = folder.Write("scenes.json", """{"scenes":[{"id":"s","index":1}]}""");
        try
        {
            var result = await Cli.RunAsync(
                Scratch.Configuration,
                "define-scenes",
                file,
                "--project",
                Project.ToString()
            );

            result.Status.ShouldBe(1);
            result.Error.ShouldContain("is full. Nothing was queued. Wait until the workers have caught up");
        }
        finally
        {
            await channel.QueueDeleteAsync("full");
        }
    }

    [Fact]
    public async Task Form_of_another_web_page_is_refused() =>
        await ShouldBeProblemAsync(
            await Client.PostAsync($"/projects/{Project}/scenes", new StringContent("{}", Encoding.UTF8, "text/plain")),
            415,
            "unsupported-media-type"
        );

    private Task<HttpResponseMessage> PostAsync(string path, string body) =>
        Client.PostAsync($"/projects/{Project}/{path}", new StringContent(body, Encoding.UTF8, "application/json"));
}
