using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Storage;

public sealed class StorageOptionsTests
{
    [Theory]
    [InlineData("Bucket", "", "Storage:Bucket is not set")]
    [InlineData("Bucket", "Not_A_Bucket", "no bucket name")]
    [InlineData("Bucket", "192.168.1.1", "no bucket name")]
    [InlineData("Bucket", "a..b", "no bucket name")]
    [InlineData("ServiceUrl", "127.0.0.1:8333", "Storage:ServiceUrl")]
    [InlineData("ServiceUrl", "ftp://example.com", "Storage:ServiceUrl")]
    [InlineData("ServiceUrl", "http://example.com/path", "Storage:ServiceUrl")]
    [InlineData("SecretKey", "", "go together")]
    [InlineData("Region", " ", "Storage:Region")]
    [InlineData("RequestTimeout", "00:00:00", "Storage:RequestTimeout")]
    [InlineData("RequestRetries", "11", "Storage:RequestRetries")]
    public void Wrong_setting_is_named(string setting, string value, string expected)
    {
        using var services = Services((setting, value));

        var failure = Should.Throw<OptionsValidationException>(services.GetRequiredService<IImageStore>);

        failure.Failures.ShouldHaveSingleItem().ShouldContain(expected);
    }

    [Fact]
    public void Path_style_follows_the_server_unless_it_is_set()
    {
        S3Client
            .Create(new StorageOptions { Bucket = "b" }, address: null)
            .Config.ShouldBeOfType<Amazon.S3.AmazonS3Config>()
            .ForcePathStyle.ShouldBeFalse();
        using var services = Services();
        var s3 = services.GetRequiredService<Amazon.S3.IAmazonS3>();
        ((Amazon.S3.AmazonS3Config)s3.Config).ForcePathStyle.ShouldBeTrue();
    }

    private static ServiceProvider Services(params (string Setting, string Value)[] changes)
    {
        var settings = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Storage:Bucket"] = "pictures",
            ["Storage:ServiceUrl"] = "http://127.0.0.1:8333",
            ["Storage:AccessKey"] = "key",
            ["Storage:SecretKey"] = "secret",
        };
        foreach (var (setting, value) in changes)
            settings["Storage:" + setting] = value;
        return S3Settings.Provider(new ConfigurationBuilder().AddInMemoryCollection(settings).Build());
    }
}
