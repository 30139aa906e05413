using Microsoft.Extensions.Configuration;
using Pipeline.Workers.Models;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Rendering;

public sealed class ModelCatalogTests
{
    [Fact]
    public void Offline_painter_needs_no_setting()
    {
        var models = Read();

        models.Knows("offline-painter").ShouldBeTrue();
        models.Knows("Offline-Painter").ShouldBeFalse();
        models.Knows("gpt-image-1").ShouldBeFalse();
    }

    [Fact]
    public void Model_has_its_settings()
    {
        var models = Read(
            ("gpt-image-1:Kind", "OpenAI"),
            ("gpt-image-1:Endpoint", "https://api.example.com/v1"),
            ("gpt-image-1:RequestsPerMinute", "50")
        );

        models.TryFind("gpt-image-1", out var model).ShouldBeTrue();
        model.ShouldNotBeNull().Kind.ShouldBe(ProviderKind.OpenAI);
        model.RequestsPerMinute.ShouldBe(50);
        models.Names.Order(StringComparer.Ordinal).ShouldBe(["gpt-image-1", "offline-painter"]);
    }

    [Theory]
    [InlineData("x:Endpoint", "ftp://example.com")]
    [InlineData("x:Concurrency", "0")]
    [InlineData("x:RequestsPerMinute", "0")]
    [InlineData("x:AttemptTimeout", "00:30:00")]
    [InlineData("x:Kind", "Guess")]
    public void Setting_out_of_its_range_stops_the_process(string name, string value) =>
        Should.Throw<InvalidOperationException>(() => Read((name, value)));

    private static ModelCatalog Read(params (string Name, string Value)[] settings) =>
        ModelCatalog.Read(
            new ConfigurationBuilder()
                .AddInMemoryCollection(settings.Select(x => KeyValuePair.Create($"Models:{x.Name}", (string?)x.Value)))
                .Build()
        );
}
