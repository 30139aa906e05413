using System.Text.Json;
using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Terminal;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Generating;

public sealed class GenerateVerbTests(ScratchServers servers) : IClassFixture<ScratchServers>
{
    private readonly Guid _project = Guid.NewGuid();

    [Theory]
    [InlineData("generate", "--scene", "s", "--prompt", "a kite")]
    [InlineData("generate", "--slot", "0", "--prompt", " ")]
    [InlineData("generate", "--slot", "0", "--prompt", "a kite", "--width", "63")]
    [InlineData("generate", "--slot", "0", "--prompt", "a kite", "--option", "quality")]
    [InlineData("generate", "--slot", "0", "--prompt", "a kite", "--option", "a=1", "--option", "a=2")]
    [InlineData("generate", "--slot", "0", "--prompt", "a kite", "--deadline", "soon")]
    [InlineData("generate", "--slot", "0", "--prompt", "a kite", "--deadline", "2020-01-01T00:00:00Z")]
    [InlineData("generate", "--slot", "0", "--prompt", "a kite", "--image", "00000000-0000-0000-0000-000000000000")]
    [InlineData("generate-storyboard", "--images", "11")]
    [InlineData("generate-storyboard", "--scenes", ",")]
    [InlineData("generate-storyboard", "--scenes", "a,a")]
    [InlineData("generate-storyboard", "--missing", "--images", "3")]
    [InlineData("generations", "--limit", "0")]
    [InlineData("retry", "x")]
    public async Task Wrong_usage_sends_nothing_and_ends_with_status_2(params string[] args)
    {
        string[] project = args[0] == "generate" ? ["--project", $"{_project}"] : [$"{_project}"];

        var result = await Cli.RunAsync(servers.Configuration, [args[0], .. project, .. args[1..]]);

        result.Status.ShouldBe(2, result.Out);
        result.Out.ShouldBeEmpty();
        result.Error.ShouldStartWith("error: ");
    }

    [Fact]
    public async Task Request_for_a_picture_says_on_the_wire_what_was_typed()
    {
        await using var route = await RouteAsync("generate-image");
        var command = Guid.NewGuid();
        string[] args = ["generate", "--project", $"{_project}", "--scene", "s", "--slot", "2", "--prompt", "@é 帆"];
        string[] more =
        [
            "--seed",
            "-7",
            "--option",
            "quality=a=b",
            "--deadline",
            "2999-01-31T13:00:00+01:00",
            "--force",
        ];

        var result = await Cli.RunAsync(servers.Configuration, [.. args, .. more, "--command", $"{command}", "--json"]);

        result.Status.ShouldBe(0, result.Error);
        var got = (await route.BasicGetAsync("generate-image", autoAck: true)).ShouldNotBeNull();
        got.RoutingKey.ShouldBe($"{_project}");
        got.BasicProperties.MessageId.ShouldBe($"{command}");
        var image = new CommandKey(_project, command).Derive("image");
        System
            .Text.Encoding.UTF8.GetString(got.Body.Span)
            .ShouldBe(
                $$$"""{"commandId":"{{{command}}}","projectId":"{{{_project}}}","imageId":"{{{image}}}","sceneId":"s","sceneIndex":null,"slot":2,"prompt":"@é 帆","model":"offline-painter","width":512,"height":512,"seed":-7,"options":{"quality":"a=b"},"deadline":"2999-01-31T12:00:00+00:00","force":true}"""
            );
        var printed = JsonSerializer.Deserialize<JsonElement>(result.Lines.ShouldHaveSingleItem());
        printed.GetProperty("commandId").GetGuid().ShouldBe(command);
        printed.GetProperty("imageId").GetGuid().ShouldBe(image);
    }

    [Fact]
    public async Task Awaited_request_ends_with_its_receipt()
    {
        await using var route = await RouteAsync("generate-image");
        var saved = Guid.NewGuid();
        var refused = Guid.NewGuid();
        await servers.ReceiptAsync(_project, "applied", saved);
        await servers.ReceiptAsync(_project, "rejected", refused);

        var good = await Cli.RunAsync(servers.Configuration, Generate("--command", $"{saved}", "--wait", "30"));
        var bad = await Cli.RunAsync(servers.Configuration, Generate("--command", $"{refused}", "--wait", "30"));
        var late = await Cli.RunAsync(servers.Configuration, Generate("--wait", "0"));

        good.Status.ShouldBe(0, good.Error);
        good.Lines[^1].ShouldContain("applied");
        bad.Status.ShouldBe(1);
        bad.Lines[^1].ShouldContain("because");
        late.Status.ShouldBe(1);
        late.Error.ShouldContain("1 of 1 requests have not ended within 0 s");
    }

    [Fact]
    public async Task Request_for_a_storyboard_says_on_the_wire_what_was_typed()
    {
        await using var route = await RouteAsync("generate-storyboard");

        var result = await Cli.RunAsync(
            servers.Configuration,
            $"generate-storyboard {_project} --scenes a,b --images 2 --model m --width 64 --height 4096".Split(' ')
        );

        result.Status.ShouldBe(0, result.Error);
        var got = (await route.BasicGetAsync("generate-storyboard", autoAck: true)).ShouldNotBeNull();
        got.RoutingKey.ShouldBe($"{_project}");
        var id = got.BasicProperties.MessageId;
        result.Out.ShouldContain($"{id}");
        System
            .Text.Encoding.UTF8.GetString(got.Body.Span)
            .ShouldBe(
                $$"""{"commandId":"{{id}}","projectId":"{{_project}}","sceneIds":["a","b"],"imagesPerScene":2,"model":"m","width":64,"height":4096,"options":null,"deadline":null,"force":false}"""
            );
    }

    [Fact]
    public async Task Awaited_storyboard_succeeds_only_when_every_picture_is_saved()
    {
        await using var route = await RouteAsync("generate-storyboard");
        var (whole, short1) = (Guid.NewGuid(), Guid.NewGuid());
        await servers.StoryboardAsync(whole, _project, requested: 0, isCompleted: true);
        await servers.StoryboardAsync(short1, _project, requested: 1, isCompleted: true);
        await servers.ItemAsync(short1, Guid.NewGuid(), "s", 0);

        var good = await Cli.RunAsync(servers.Configuration, Storyboard("--command", $"{whole}", "--wait", "30"));
        var bad = await Cli.RunAsync(servers.Configuration, Storyboard("--command", $"{short1}", "--wait", "30"));

        good.Status.ShouldBe(0, good.Error);
        bad.Status.ShouldBe(1);
        bad.Lines[^1].ShouldMatch("0/1 .* s$");
    }

    [Theory]
    [InlineData("retry", "retry-generation")]
    [InlineData("cancel", "cancel-generation")]
    public async Task Generation_is_steered_by_its_id_or_by_a_requests(string verb, string exchange)
    {
        await using var route = await RouteAsync(exchange);
        var generation = await servers.GenerationAsync("Abandoned");
        var (request, image, other) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        await servers.TargetAsync(_project, generation, request, image, ("s", 0), "failed");

        // A request names its own project and image; with a generation's id they are the caller's to name.
        await ShouldSendAsync([$"{request}"], _project, $"\"{image}\"");
        await ShouldSendAsync([$"{generation}", "--project", $"{other}"], other, "null");
        await ShouldSendAsync([$"{request}", "--project", $"{_project}"], _project, "null");
        await ShouldSendAsync([$"{generation}", "--project", $"{other}", "--image", $"{image}"], other, $"\"{image}\"");
        var unnamed = await Cli.RunAsync(servers.Configuration, verb, $"{generation}");
        unnamed.Status.ShouldBe(2);
        unnamed.Error.ShouldContain("--project");
        var unknown = await Cli.RunAsync(servers.Configuration, verb, $"{Guid.NewGuid()}");
        unknown.Status.ShouldBe(1);
        unknown.Error.ShouldContain("There is no generation");

        async Task ShouldSendAsync(string[] args, Guid project, string imageJson)
        {
            var result = await Cli.RunAsync(servers.Configuration, [verb, .. args]);

            result.Status.ShouldBe(0, result.Error);
            var got = (await route.BasicGetAsync(exchange, autoAck: true)).ShouldNotBeNull();
            got.RoutingKey.ShouldBe($"{project}");
            var ids = $"\"commandId\":\"{got.BasicProperties.MessageId}\",\"projectId\":\"{project}\"";
            System
                .Text.Encoding.UTF8.GetString(got.Body.Span)
                .ShouldBe($"{{{ids},\"generationId\":\"{generation}\",\"imageId\":{imageJson}}}");
        }
    }

    [Theory]
    [InlineData("+90s", 90)]
    [InlineData("+10m", 600)]
    [InlineData("+2h", 7_200)]
    [InlineData("+1d", 86_400)]
    [InlineData("2000-01-01T01:00:00+01:00", 0)]
    [InlineData("2000-01-01T00:00:05", 5)]
    public void Deadline_is_a_moment_or_a_time_from_now(string text, int seconds)
    {
        var now = new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

        RenderOptions.Deadline(text, now).ShouldBe(now.AddSeconds(seconds));
    }

    [Theory]
    [InlineData("+10")]
    [InlineData("+10y")]
    [InlineData("+-1m")]
    [InlineData("+4000000000d")]
    [InlineData("tomorrow")]
    public void Deadline_of_another_form_is_wrong_usage(string text) =>
        Should.Throw<UsageException>(() => RenderOptions.Deadline(text, DateTimeOffset.UnixEpoch));

    private string[] Generate(params string[] more) =>
        ["generate", "--project", $"{_project}", "--slot", "0", "--prompt", "a kite", .. more];

    private string[] Storyboard(params string[] more) => ["generate-storyboard", $"{_project}", .. more];

    private async Task<IChannel> RouteAsync(string exchange)
    {
        var route = await servers.RouteAsync(exchange);
        await route.QueuePurgeAsync(exchange);
        return route;
    }
}
