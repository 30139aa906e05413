using Microsoft.Extensions.Configuration;
using Pipeline.Workers.Messaging;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Messaging;

/// <summary>Which exchanges of foreign services are accepted, and for which command.</summary>
public sealed class ClientExchangesTests
{
    [Fact]
    public void Each_is_for_the_one_command_that_an_operator_has_named()
    {
        var options = Read("client-shop=save-image, client-play=define-scenes");

        options.ClientExchanges.ShouldBe(
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["client-shop"] = "save-image",
                ["client-play"] = "define-scenes",
            },
            ignoreOrder: true
        );
        Read("").ClientExchanges.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("client-shop")]
    [InlineData("client-shop=retract-object")] // Internal.
    [InlineData("client-shop=image-saved")] // An event.
    [InlineData("generation=save-image")] // Not a client's.
    public void What_is_no_clients_exchange_with_a_public_command_stops_the_start(string text) =>
        Should.Throw<InvalidOperationException>(() => Read(text)).Message.ShouldContain(text);

    private static MessagingOptions Read(string exchanges) =>
        MessagingOptions.Read(
            new ConfigurationBuilder()
                .AddInMemoryCollection(
                    new Dictionary<string, string?>(StringComparer.Ordinal)
                    {
                        ["ConnectionStrings:RabbitMq"] = "amqp://workers:secret@broker/pipeline",
                        ["Messaging:ClientExchanges"] = exchanges,
                    }
                )
                .Build()
        );
}
