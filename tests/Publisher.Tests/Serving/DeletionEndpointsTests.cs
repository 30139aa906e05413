using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Serving;

public sealed class DeletionEndpointsTests(ScratchServers servers) : ServedPublisher(servers)
{
    [Theory]
    [InlineData("DELETE", "", "delete-image")]
    [InlineData("POST", "/restore", "restore-image")]
    public async Task Picture_is_named_by_its_id_alone(string method, string path, string exchange)
    {
        await using var route = await RouteAsync(exchange);
        await Scratch.ProjectAsync(Project, version: 1);
        var image = await Scratch.ImageAsync(Project, "s", 0);

        using var answer = await SendAsync(method, $"/images/{image}{path}", "{}");

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var sent = await ReadAsync<DeleteImage>(route, exchange); // Both have the same members.
        (sent.ProjectId, sent.ImageId).ShouldBe((Project, image));
        answer.Headers.Location.ShouldNotBeNull().ToString().ShouldBe($"/projects/{Project}/receipts/{sent.CommandId}");
    }

    [Theory]
    [InlineData("DELETE", "", "delete-project")]
    [InlineData("POST", "/restore", "restore-project")]
    [InlineData("POST", "/erase", "erase-project")]
    public async Task Project_needs_no_row(string method, string path, string exchange)
    {
        await using var route = await RouteAsync(exchange);

        using var answer = await SendAsync(method, $"/projects/{Project}{path}", "{}");

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        (await ReadAsync<DeleteProject>(route, exchange)).ProjectId.ShouldBe(Project);
    }

    [Fact]
    public async Task Picture_gets_the_bytes_behind_an_address()
    {
        await using var route = await RouteAsync("import-image");
        await Scratch.ProjectAsync(Project, version: 1);
        var image = await Scratch.ImageAsync(Project, "s", 3);
        var id = Guid.NewGuid();

        using var answer = await SendAsync(
            "POST",
            $"/images/{image}/replace",
            $$"""{"sourceUrl":"https://example.org/a.png","commandId":"{{id}}"}"""
        );

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var sent = await ReadAsync<ImportImage>(route, "import-image");
        (sent.CommandId, sent.ProjectId, sent.ImageId, sent.Replace).ShouldBe((id, Project, image, true));
        (sent.SourceUrl, sent.UploadKey, sent.Slot).ShouldBe(("https://example.org/a.png", null, 3));
        answer.Headers.Location.ShouldNotBeNull().ToString().ShouldBe($"/projects/{Project}/receipts/{id}");
    }

    [Fact]
    public async Task Deletions_are_listed_shown_and_retried()
    {
        await using var route = await RouteAsync("retry-deletion");
        var failed = await DeletionAsync("Failed");
        await DeletionAsync("Completed");
        await Scratch.SqlAsync(
            "insert into pipeline.deletion_keys (deletion_id, key, reason) values ($1, 'projects/x', 'locked')",
            failed
        );

        var all = await Client.GetFromJsonAsync<JsonElement>($"/deletions?project={Project}");
        var listed = await Client.GetFromJsonAsync<JsonElement>($"/deletions?project={Project}&failed=true");
        var shown = await Client.GetFromJsonAsync<JsonElement>($"/deletions/{failed}");
        using var retried = await SendAsync("POST", $"/deletions/{failed}/retry", "{}");

        all.GetProperty("deletions").GetArrayLength().ShouldBe(2);
        listed.GetProperty("deletions").EnumerateArray().Single().GetProperty("id").GetGuid().ShouldBe(failed);
        shown.GetProperty("deletion").GetProperty("keysLeft").GetInt32().ShouldBe(1);
        shown.GetProperty("keys")[0].GetProperty("reason").GetString().ShouldBe("locked");
        retried.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        (await ReadAsync<RetryDeletion>(route, "retry-deletion")).DeletionId.ShouldBe(failed);
    }

    [Fact]
    public async Task Erasures_are_listed_with_what_was_found_where()
    {
        await Scratch.SqlAsync(
            """
            with e as (
                insert into pipeline.erasures (id, command_id, project_id, due_at, created_at, updated_at, waits_for)
                values (gen_random_uuid(), gen_random_uuid(), $1, now(), now(), now(), 'another pass') returning id)
            insert into pipeline.erasure_counts (erasure_id, location, count) select id, 'receipts', 7 from e
            """,
            Project
        );

        var listed = await Client.GetFromJsonAsync<JsonElement>($"/erasures?project={Project}");

        var erasure = listed.GetProperty("erasures").EnumerateArray().Single();
        erasure.GetProperty("state").GetString().ShouldBe("Erasing");
        erasure.GetProperty("waitsFor").GetString().ShouldBe("another pass");
        erasure.GetProperty("locations").GetProperty("receipts").GetInt64().ShouldBe(7);
    }

    [Fact]
    public async Task Erasure_from_the_command_line_needs_to_be_meant()
    {
        var run = await Cli.RunAsync(Cli.Settings(), "erase-project", $"{Project}");

        run.Status.ShouldBe(2);
        run.Error.ShouldContain("--yes");
    }

    [Theory]
    [InlineData("DELETE", "/images/11111111-1111-1111-1111-111111111111", "", 404, "image-not-found")]
    [InlineData("POST", "/images/11111111-1111-1111-1111-111111111111/restore", "{}", 404, "image-not-found")]
    [InlineData("POST", "/images/11111111-1111-1111-1111-111111111111/replace", "{}", 400, "bad-request")]
    [InlineData("POST", "/deletions/11111111-1111-1111-1111-111111111111/retry", "{}", 404, "deletion-not-found")]
    [InlineData("GET", "/deletions/11111111-1111-1111-1111-111111111111", "", 404, "deletion-not-found")]
    [InlineData("DELETE", "/projects/00000000-0000-0000-0000-000000000000", "", 400, "bad-request")]
    [InlineData("POST", "/projects/00000000-0000-0000-0000-000000000000/erase", "{}", 400, "bad-request")]
    public async Task Error_is_a_problem_with_a_type(
        string method,
        string path,
        string body,
        int status,
        string type
    ) => await ShouldBeProblemAsync(await SendAsync(method, path, body), status, type);

    [Fact]
    public async Task Form_of_another_origin_is_refused()
    {
        using var form = new FormUrlEncodedContent([]);

        await ShouldBeProblemAsync(
            await Client.PostAsync($"/projects/{Project}/restore", form),
            415,
            "unsupported-media-type"
        );
    }

    private async Task<Guid> DeletionAsync(string state)
    {
        var id = Guid.NewGuid();
        await Scratch.SqlAsync(
            """
            insert into pipeline.deletions
                (correlation_id, current_state, kind, project_id, command_id, attempt, failures, purged_keys,
                 created_at, updated_at)
            values ($1, $2, 'project', $3, gen_random_uuid(), 1, 0, 0, now(), now())
            """,
            id,
            state,
            Project
        );
        return id;
    }

    private Task<HttpResponseMessage> SendAsync(string method, string path, string body)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (method == "POST")
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        return Client.SendAsync(request);
    }

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
