using Microsoft.Extensions.Configuration;
using Pipeline.Workers.Urls;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Urls;

/// <summary>What cannot be right keeps the process from starting, so that no server is ever asked for it.</summary>
public sealed class UrlsOptionsTests
{
    [Fact]
    public void Defaults_need_nothing_but_the_store()
    {
        var options = new UrlsOptions();

        options.Validate();

        options.AllVariants.Keys.ShouldBe(["image", "thumbnail"], StringComparer.Ordinal);
        options.AllVariants.Values.ShouldAllBe(x => x.Chain == "s3");
    }

    [Theory]
    [InlineData("Variants:thumbnail:Format", "jpeg", "'jpeg'")]
    [InlineData("Variants:thumbnail:Format", "png", "origin, avif, webp")]
    [InlineData("Variants:thumbnail:Resize", "crop", "cover, contain, fill")]
    [InlineData("Variants:thumbnail:Quality", "19", "20 to 100")]
    [InlineData("Variants:thumbnail:Width", "2501", "1 to 2500")]
    [InlineData("Variants:thumbnail:Chain", "supabase,magic", "'magic'")]
    [InlineData("Variants:thumbnail:Chain", "imgproxy", "Imgproxy__Url")]
    [InlineData("Variants:thumbnail:Chain", "public", "PublicBaseUrl")]
    [InlineData("Variants:thumbnail:Chain", "s3,s3", "twice")]
    [InlineData("Variants:Frame 1:Width", "1", "lower-case")]
    [InlineData("Supabase:Key", "", "Supabase__Key")]
    [InlineData("Lifetime", "7.00:00:01", "Lifetime")]
    [InlineData("RefreshAhead", "1.00:00:00", "RefreshAhead")]
    [InlineData("CallTimeout", "00:00:08", "CallTimeout")]
    public void Wrong_setting_is_named(string setting, string value, string expected)
    {
        var settings = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase)
        {
            ["Urls:Variants:thumbnail:Chain"] = "supabase",
            ["Urls:Supabase:Url"] = "https://project.test",
            ["Urls:Supabase:Key"] = "service-key",
        };
        Read(settings).Validate();
        settings[$"Urls:{setting}"] = value;

        Should.Throw<InvalidOperationException>(Read(settings).Validate).Message.ShouldContain(expected);
    }

    private static UrlsOptions Read(Dictionary<string, string?> settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings).Build().GetSection("Urls").Get<UrlsOptions>()!;
}
