using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Pipeline.Publisher.Serving;
using Pipeline.Publisher.Settings;
using Pipeline.Publisher.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Serving;

/// <summary>The publisher as it is served, on a port of its own, for each test.</summary>
public abstract class ServedPublisher(ScratchServers servers) : IClassFixture<ScratchServers>, IAsyncLifetime
{
    private readonly WebApplication _app = PublisherApp.Build(
        new PublisherSettings(servers.Configuration),
        TimeProvider.System
    );

    protected HttpClient Client { get; } = new(new SocketsHttpHandler { AllowAutoRedirect = false });

    protected Guid Project { get; } = Guid.NewGuid();

    protected ScratchServers Scratch => servers;

    public async Task InitializeAsync()
    {
        await _app.StartAsync();
        Client.BaseAddress = new Uri(_app.Urls.Single());
    }

    public async Task DisposeAsync()
    {
        Client.Dispose();
        await _app.DisposeAsync();
    }

    protected static async Task ShouldBeProblemAsync(HttpResponseMessage answer, int status, string type)
    {
        ((int)answer.StatusCode).ShouldBe(status);
        answer.Content.Headers.ContentType.ShouldNotBeNull().MediaType.ShouldBe("application/problem+json");
        var text = await answer.Content.ReadAsStringAsync();
        JsonSerializer
            .Deserialize<JsonElement>(text)
            .GetProperty("type")
            .GetString()
            .ShouldBe($"urn:pipeline:problem:{type}");
        text.ShouldNotContain("   at ");
        text.ShouldNotContain("Pipeline.");
    }
}
