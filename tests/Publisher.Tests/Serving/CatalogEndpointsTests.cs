using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Pipeline.Publisher.Tests.Cataloguing;
using Pipeline.Publisher.Tests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Serving;

public sealed class CatalogEndpointsTests(ScratchServers servers) : ServedPublisher(servers)
{
    [Fact]
    public async Task Entries_come_page_by_page_by_their_last_key()
    {
        foreach (var key in new[] { "http/a&b=c +%2F.png", "http/b.png", "http/c.png", "other.png" })
            await Scratch.EntryAsync(key);

        var first = await Client.GetFromJsonAsync<JsonElement>("/catalog?prefix=http/&limit=2");
        var second = await Client.GetFromJsonAsync<JsonElement>(first.GetProperty("next").GetString());
        var statistics = await Client.GetFromJsonAsync<JsonElement>("/catalog/statistics");

        Keys(first).ShouldBe(["http/a&b=c +%2F.png", "http/b.png"]);
        Keys(second).ShouldBe(["http/c.png"]);
        second.GetProperty("next").ValueKind.ShouldBe(JsonValueKind.Null);
        statistics.GetProperty("objects").GetInt64().ShouldBeGreaterThanOrEqualTo(4);

        static IEnumerable<string?> Keys(JsonElement page) =>
            page.GetProperty("entries").EnumerateArray().Select(x => x.GetProperty("key").GetString());
    }

    [Theory]
    [InlineData("/catalog/record", "record-object", """{"objectKey":"a b.png"}""")]
    [InlineData("/catalog/forget", "forget-object", """{"objectKey":"a b.png"}""")]
    [InlineData("/catalog/rebuilds", "rebuild-catalog", "{}")]
    public async Task Command_is_accepted_once_the_broker_has_it(string path, string exchange, string body)
    {
        await using var route = await Scratch.RouteAsync(exchange);

        using var answer = await PostAsync(path, body);

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var id = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("commandId").GetGuid();
        answer.Headers.Location.ShouldNotBeNull().ToString().ShouldBe($"/receipts/{id}");
        var got = (await route.BasicGetAsync(exchange, autoAck: true)).ShouldNotBeNull();
        got.BasicProperties.MessageId.ShouldBe($"{id}");
    }

    [Fact]
    public async Task Rebuild_is_found_by_either_id_and_cancelled()
    {
        await using var route = await Scratch.RouteAsync("cancel-rebuild");
        var rebuild = Guid.NewGuid();
        var command = await Scratch.RebuildAsync(rebuild, "Listing");

        foreach (var id in new[] { rebuild, command })
            (await Client.GetFromJsonAsync<JsonElement>($"/catalog/rebuilds/{id}"))
                .GetProperty("state")
                .GetString()
                .ShouldBe("Listing");
        using var cancelled = await PostAsync($"/catalog/rebuilds/{command}/cancel", "{}");

        cancelled.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        Encoding
            .UTF8.GetString((await route.BasicGetAsync("cancel-rebuild", autoAck: true)).ShouldNotBeNull().Body.Span)
            .ShouldContain($"{rebuild}");
        (await Client.GetFromJsonAsync<JsonElement>("/catalog/rebuilds"))
            .GetProperty("rebuilds")
            .EnumerateArray()
            .ShouldContain(x => x.GetProperty("id").GetGuid() == rebuild);
    }

    [Theory]
    [InlineData("/catalog/record", "{}")]
    [InlineData("/catalog/record", """{"objectKey":""}""")]
    [InlineData("/catalog/forget", """{"objectKey":"x","commandId":"00000000-0000-0000-0000-000000000000"}""")]
    [InlineData("/catalog/rebuilds", """{"commandId":"00000000-0000-0000-0000-000000000000"}""")]
    public async Task Body_that_cannot_be_right_is_refused(string path, string body) =>
        await ShouldBeProblemAsync(await PostAsync(path, body), 400, "bad-request");

    [Theory]
    [InlineData("/catalog?limit=0", 400, "bad-request")]
    [InlineData("/catalog?offset=1", 400, "bad-request")]
    [InlineData("/catalog?prefix=a%00", 400, "bad-request")]
    [InlineData("/catalog/rebuilds/11111111-1111-1111-1111-111111111111", 404, "rebuild-not-found")]
    public async Task Error_is_a_problem_with_a_type(string path, int status, string type) =>
        await ShouldBeProblemAsync(await Client.GetAsync(path), status, type);

    private Task<HttpResponseMessage> PostAsync(string path, string body) =>
        Client.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"));
}
