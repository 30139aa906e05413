using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Tests.Generating;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Serving;

public sealed class GenerationEndpointsTests(ScratchServers servers) : ServedPublisher(servers)
{
    [Fact]
    public async Task Picture_is_accepted_once_the_broker_has_it()
    {
        await using var route = await RouteAsync("generate-image");

        using var answer = await PostAsync(
            $"/projects/{Project}/generations",
            """{"sceneId":"s","slot":1,"prompt":"é","seed":5,"options":{"a":"b"},"deadline":"2999-01-31T13:00:00+01:00"}"""
        );

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        var id = body.GetProperty("commandId").GetGuid();
        answer.Headers.Location.ShouldNotBeNull().ToString().ShouldBe($"/projects/{Project}/receipts/{id}");
        var sent = await ReadAsync<GenerateImage>(route, "generate-image");
        (sent.CommandId, sent.ProjectId, sent.ImageId).ShouldBe(
            (id, Project, new CommandKey(Project, id).Derive("image"))
        );
        (sent.SceneId, sent.Slot, sent.Prompt, sent.Seed, sent.Force).ShouldBe(("s", 1, "é", 5, false));
        (sent.Model, sent.Width, sent.Height).ShouldBe(("offline-painter", 512, 512));
        sent.Options.ShouldNotBeNull().ShouldHaveSingleItem().ShouldBe(KeyValuePair.Create("a", "b"));
        sent.Deadline.ShouldBe(new DateTimeOffset(2999, 1, 31, 12, 0, 0, TimeSpan.Zero));
    }

    [Fact]
    public async Task Storyboard_is_accepted_once_the_broker_has_it()
    {
        await using var route = await RouteAsync("generate-storyboard");

        using var answer = await PostAsync(
            $"/projects/{Project}/storyboard-generations",
            """{"sceneIds":["s"],"imagesPerScene":3,"model":"m","force":true}"""
        );

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var sent = await ReadAsync<GenerateStoryboard>(route, "generate-storyboard");
        answer.Headers.Location.ShouldNotBeNull().ToString().ShouldBe($"/projects/{Project}/receipts/{sent.CommandId}");
        sent.SceneIds.ShouldBe(["s"]);
        (sent.ProjectId, sent.ImagesPerScene, sent.Model, sent.Force).ShouldBe((Project, 3, "m", true));
    }

    [Fact]
    public async Task Missing_pictures_are_asked_for_again_and_listed()
    {
        await using var route = await RouteAsync("generate-image");
        await AskedStoryboard.WriteAsync(Scratch, Project);
        using var list = await Client.GetAsync($"/projects/{Project}/generations");

        using var answer = await PostAsync($"/projects/{Project}/storyboard-generations", """{"missing":true}""");

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        body.GetProperty("requests").GetArrayLength().ShouldBe(2);
        (await route.MessageCountAsync("generate-image")).ShouldBe(2u);
        var generations = await list.Content.ReadFromJsonAsync<JsonElement>();
        generations.GetProperty("requests").GetArrayLength().ShouldBe(5);
        generations.GetProperty("counts").GetProperty("applied").GetInt32().ShouldBe(3);
        generations.GetProperty("storyboards")[0].GetProperty("saved").GetInt32().ShouldBe(3);
    }

    [Theory]
    [InlineData("retry")]
    [InlineData("cancel")]
    public async Task Generation_is_shown_and_steered(string verb)
    {
        await using var route = await RouteAsync($"{verb}-generation");
        var generation = await Scratch.GenerationAsync("Abandoned");
        var (request, image) = (Guid.NewGuid(), Guid.NewGuid());
        await Scratch.TargetAsync(Project, generation, request, image, ("s", 0), "failed");

        using var answer = await PostAsync($"/generations/{request}/{verb}", "{}");

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var sent = await ReadAsync<CancelGeneration>(route, $"{verb}-generation"); // Both have the same members.
        (sent.ProjectId, sent.GenerationId, sent.ImageId).ShouldBe((Project, generation, image));
        answer.Headers.Location.ShouldNotBeNull().ToString().ShouldBe($"/projects/{Project}/receipts/{sent.CommandId}");
        (await Client.GetFromJsonAsync<JsonElement>($"/generations/{generation}"))
            .GetProperty("generation")
            .GetProperty("state")
            .GetString()
            .ShouldBe("Abandoned");
        await ShouldBeProblemAsync(
            await PostAsync($"/generations/{Guid.NewGuid()}/{verb}", "{}"),
            404,
            "generation-not-found"
        );
        // A generation may serve several projects, so that its id alone does not say whose requests are meant.
        await ShouldBeProblemAsync(await PostAsync($"/generations/{generation}/{verb}", "{}"), 400, "bad-request");
        using var named = await PostAsync($"/generations/{generation}/{verb}", $$"""{"projectId":"{{image}}"}""");
        named.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        sent = await ReadAsync<CancelGeneration>(route, $"{verb}-generation");
        (sent.ProjectId, sent.GenerationId, sent.ImageId).ShouldBe((image, generation, null));
        await ShouldBeProblemAsync(
            await PostAsync($"/generations/{generation}/{verb}", $$"""{"projectId":"{{Guid.Empty}}"}"""),
            400,
            "bad-request"
        );
    }

    [Theory]
    [InlineData("generations", """{"slot":0}""")]
    [InlineData("generations", """{"prompt":"x"}""")]
    [InlineData("generations", """{"slot":0,"prompt":"x","width":10}""")]
    [InlineData("generations", """{"slot":0,"prompt":"x","width":"512"}""")]
    [InlineData("generations", """{"slot":0,"prompt":"x","options":{"a":1}}""")]
    [InlineData("generations", """{"slot":0,"prompt":"x","options":{"a":null}}""")]
    [InlineData("generations", """{"slot":0,"prompt":"x","deadline":"2020-01-01T00:00:00Z"}""")]
    [InlineData("generations", """{"slot":0,"prompt":"x","sceneIndex":0}""")]
    [InlineData("storyboard-generations", "{}")]
    [InlineData("storyboard-generations", """{"imagesPerScene":0}""")]
    [InlineData("storyboard-generations", """{"imagesPerScene":1,"sceneIds":[]}""")]
    [InlineData("storyboard-generations", """{"imagesPerScene":1,"sceneIds":[null]}""")]
    [InlineData("storyboard-generations", """{"imagesPerScene":1,"missing":true}""")]
    public async Task Body_that_cannot_be_right_is_refused(string path, string body) =>
        await ShouldBeProblemAsync(await PostAsync($"/projects/{Project}/{path}", body), 400, "bad-request");

    [Theory]
    [InlineData("/generations/11111111-1111-1111-1111-111111111111", 404, "generation-not-found")]
    [InlineData("/projects/11111111-1111-1111-1111-111111111111/generations?open=1", 400, "bad-request")]
    public async Task Error_is_a_problem_with_a_type(string path, int status, string type) =>
        await ShouldBeProblemAsync(await Client.GetAsync(path), status, type);

    [Fact]
    public async Task Nothing_to_ask_for_again_is_said() =>
        await ShouldBeProblemAsync(
            await PostAsync($"/projects/{Project}/storyboard-generations", """{"missing":true}"""),
            404,
            "storyboard-not-found"
        );

    private Task<HttpResponseMessage> PostAsync(string path, string body) =>
        Client.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"));

    private async Task<IChannel> RouteAsync(string exchange)
    {
        var route = await Scratch.RouteAsync(exchange);
        await route.QueuePurgeAsync(exchange);
        return route;
    }

    private static async Task<T> ReadAsync<T>(IChannel route, string queue)
        where T : class =>
        JsonSerializer
            .Deserialize<T>(
                (await route.BasicGetAsync(queue, autoAck: true)).ShouldNotBeNull().Body.Span,
                WireJson.Options
            )
            .ShouldNotBeNull();
}
