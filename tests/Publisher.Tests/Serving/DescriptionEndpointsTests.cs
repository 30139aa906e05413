using System.Net;
using System.Text.Json.Nodes;
using Pipeline.Publisher.Describing;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Serving;

public sealed class DescriptionEndpointsTests(ScratchServers servers) : ServedPublisher(servers)
{
    [Fact]
    public async Task Document_and_schemas_are_served()
    {
        (await Client.GetStringAsync("/asyncapi.json")).ShouldBe(AsyncApiDocument.WriteText());
        foreach (var message in MessageCatalog.Public)
        {
            var schema = JsonNode.Parse(await Client.GetStringAsync($"/schemas/{message.Name}.json"));
            JsonNode.DeepEquals(schema, message.Schema()).ShouldBeTrue(message.Name);
        }
    }

    [Theory]
    [InlineData("/schemas/render-image.json")]
    [InlineData("/schemas/no-such-message.json")]
    public async Task Internal_and_unknown_messages_are_not_offered(string path)
    {
        using var answer = await Client.GetAsync(path);

        await ShouldBeProblemAsync(answer, 404, "not-found");
    }

    [Fact]
    public async Task Page_shows_every_message_with_its_rules_and_loads_nothing_from_elsewhere()
    {
        using var answer = await Client.GetAsync("/asyncapi");
        var page = await answer.Content.ReadAsStringAsync();

        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        answer.Headers.GetValues("Content-Security-Policy").Single().ShouldStartWith("default-src 'none'");
        foreach (var message in MessageCatalog.Public)
            page.ShouldContain($"<h2 id=\"{message.Name}\">");
        page.ShouldContain("<code>scenes[].index</code>");
        page.ShouldContain("maximum 1000000");
        page.ShouldNotContain("http://");
        page.ShouldNotContain("https://cdn");
    }
}
