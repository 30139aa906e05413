using Pipeline.Publisher.Settings;
using Pipeline.Publisher.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Settings;

public sealed class PublisherSettingsTests
{
    [Fact]
    public void Broker_falls_back_to_the_connection_string() =>
        Of(("ConnectionStrings:RabbitMq", "amqp://a:b@c/d")).Broker.ShouldBe(new Uri("amqp://a:b@c/d"));

    [Theory]
    [InlineData("localhost")]
    [InlineData("http://localhost")]
    public void Broker_that_is_no_amqp_address_is_named_by_its_variable_without_its_value(string value)
    {
        var error = Should.Throw<SettingsException>(() => Of(("Publisher:RabbitMq", value)).Broker);

        error.Message.ShouldStartWith("Publisher__RabbitMq must be");
    }

    [Fact]
    public void Absent_settings_are_named_by_their_variables()
    {
        var none = Of();

        Should.Throw<SettingsException>(() => none.Broker).Message.ShouldStartWith("Publisher__RabbitMq is not set");
        Should
            .Throw<SettingsException>(() => none.StatusDatabase)
            .Message.ShouldStartWith("ConnectionStrings__Status is not set");
        Should.Throw<SettingsException>(() => none.Storage).Message.ShouldStartWith("Storage__Bucket is not set");
        Should.Throw<SettingsException>(() => none.ListenUrl).Message.ShouldStartWith("Publisher__Url is not set");
    }

    [Fact]
    public void Text_that_is_no_connection_string_is_not_repeated() =>
        Should
            .Throw<SettingsException>(() => Of(("ConnectionStrings:Status", "Host=x;secret")).StatusDatabase)
            .Message.ShouldNotContain("secret;");

    [Fact]
    public void Wildcard_address_is_no_link() =>
        Of(("Publisher:Url", "http://0.0.0.0:8080")).LinkBase.ShouldBe(new Uri("http://localhost:8080"));

    [Theory]
    [InlineData("Uploads:SizeLimitBytes", "26214401")]
    [InlineData("Uploads:PixelLimit", "0")]
    [InlineData("Uploads:FilesPerRequest", "many")]
    [InlineData("Uploads:RequestTimeout", "00:00:00")]
    [InlineData("Uploads:UrlLifetime", "13:00:00")]
    [InlineData("Uploads:ConfirmWithin", "-1")]
    public void Limit_of_uploads_out_of_its_range_is_named_by_its_variable(string key, string value) =>
        Should
            .Throw<SettingsException>(() => Of((key, value)).Uploads)
            .Message.ShouldStartWith(key.Replace(":", "__", StringComparison.Ordinal));

    private static PublisherSettings Of(params (string, string)[] settings) => new(Cli.Settings(settings));
}
