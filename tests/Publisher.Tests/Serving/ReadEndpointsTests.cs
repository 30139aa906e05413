using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Pipeline.Publisher.Serving;
using Pipeline.Publisher.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Serving;

public sealed class ReadEndpointsTests(ScratchServers servers) : ServedPublisher(servers)
{
    [Fact]
    public async Task Document_is_the_databases_own_with_the_version_as_its_etag()
    {
        await Scratch.ProjectAsync(Project, version: 5);
        await Scratch.SceneAsync(Project, "s", 1);

        using var answer = await Client.GetAsync($"/projects/{Project}");

        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        answer.Headers.ETag.ShouldBe(new EntityTagHeaderValue("\"v5\""));
        answer.Headers.CacheControl.ShouldNotBeNull().NoCache.ShouldBeTrue();
        await using var command = Scratch.Database.CreateCommand(
            "select document::text from status.project_documents where project_id = $1"
        );
        command.Parameters.Add(new() { Value = Project });
        (await answer.Content.ReadAsStringAsync()).ShouldBe((string?)await command.ExecuteScalarAsync());
    }

    [Theory]
    [InlineData("\"v5\"", HttpStatusCode.NotModified)]
    [InlineData("\"v4\", W/\"v5\"", HttpStatusCode.NotModified)]
    [InlineData("*", HttpStatusCode.NotModified)]
    [InlineData("\"v4\"", HttpStatusCode.OK)]
    [InlineData("v5", HttpStatusCode.OK)]
    public async Task Poller_that_knows_the_version_gets_no_body(string known, HttpStatusCode status)
    {
        await Scratch.ProjectAsync(Project, version: 5);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/projects/{Project}");
        request.Headers.TryAddWithoutValidation("If-None-Match", known);

        using var answer = await Client.SendAsync(request);

        answer.StatusCode.ShouldBe(status);
        answer.Headers.ETag.ShouldBe(new EntityTagHeaderValue("\"v5\""));
    }

    [Theory]
    [InlineData("/projects/11111111-1111-1111-1111-111111111111", 404, "project-not-found")]
    [InlineData("/projects/11111111-1111-1111-1111-111111111111/images", 404, "project-not-found")]
    [InlineData("/receipts/11111111-1111-1111-1111-111111111111", 404, "receipt-not-found")]
    [InlineData(
        "/projects/22222222-2222-2222-2222-222222222222/receipts/11111111-1111-1111-1111-111111111111",
        404,
        "receipt-not-found"
    )]
    [InlineData("/images/11111111-1111-1111-1111-111111111111/1", 404, "image-not-found")]
    [InlineData("/projects/x", 404, "not-found")]
    [InlineData("/projects?limit=1001", 400, "bad-request")]
    [InlineData("/receipts?offset=-1", 400, "bad-request")]
    [InlineData("/receipts?outcome=fine", 400, "bad-request")]
    public async Task Error_is_a_problem_with_a_type(string path, int status, string type) =>
        await ShouldBeProblemAsync(await Client.GetAsync(path), status, type);

    [Fact]
    public async Task Not_ready_says_which_check_fails()
    {
        (await Client.GetAsync("/health/live")).StatusCode.ShouldBe(HttpStatusCode.OK);

        using var answer = await Client.GetAsync("/health/ready");

        answer.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        var checks = (await answer.Content.ReadFromJsonAsync<JsonElement>())
            .GetProperty("checks")
            .EnumerateArray()
            .ToList();
        checks
            .Select(x => (x.GetProperty("name").GetString(), x.GetProperty("ok").GetBoolean()))
            .ShouldBe([("broker", false), ("database", true), ("lanes", false)]);
        checks[0].GetProperty("reason").GetString().ShouldNotBeNull().ShouldContain("project-lanes");
    }

    [Theory]
    [InlineData("/", "text/html")]
    [InlineData("/projects/11111111-1111-1111-1111-111111111111/view", "text/html")]
    [InlineData("/pages/dashboard.js", "text/javascript")]
    [InlineData("/pages/project.js", "text/javascript")]
    [InlineData("/pages/pages.css", "text/css")]
    public async Task Pages_run_only_their_own_scripts(string path, string type)
    {
        using var answer = await Client.GetAsync(path);

        answer.Content.Headers.ContentType.ShouldNotBeNull().MediaType.ShouldBe(type);
        answer.Headers.GetValues("Content-Security-Policy").Single().ShouldContain("script-src 'self'");
    }
}
