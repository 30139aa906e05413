using Microsoft.Extensions.Configuration;
using Pipeline.Workers.Messaging;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Messaging;

/// <summary>Whose login is whose.</summary>
public sealed class SenderRoleTests
{
    [Theory]
    [InlineData("work/ers", nameof(SenderRole.Worker))] // As the URI of the broker names it, percent-encoded.
    [InlineData("publisher", nameof(SenderRole.Publisher))]
    [InlineData("client", nameof(SenderRole.Foreign))]
    [InlineData("", nameof(SenderRole.Foreign))]
    [InlineData(null, nameof(SenderRole.Foreign))]
    public void Own_login_is_a_workers_and_the_publishers_is_called_so(string? userId, string role) =>
        Read().RoleOf(userId).ToString().ShouldBe(role);

    [Theory]
    [InlineData("work/ers", nameof(SenderRole.Worker))]
    [InlineData("night-workers", nameof(SenderRole.Worker))]
    [InlineData("replays", nameof(SenderRole.Publisher))]
    [InlineData("publisher", nameof(SenderRole.Foreign))]
    public void Settings_name_others(string userId, string role) =>
        Read(("WorkerLogins", "day-workers, night-workers"), ("PublisherLogins", "replays"))
            .RoleOf(userId)
            .ToString()
            .ShouldBe(role);

    [Theory]
    [InlineData("rabbitmq:15672")]
    [InlineData("amqp://rabbitmq")]
    public void Management_API_that_is_no_web_address_stops_the_start(string url) =>
        Should.Throw<InvalidOperationException>(() => Read(("ManagementUrl", url)));

    private static MessagingOptions Read(params (string Name, string Value)[] settings) =>
        MessagingOptions.Read(
            new ConfigurationBuilder()
                .AddInMemoryCollection(
                    settings
                        .Select(x => KeyValuePair.Create($"Messaging:{x.Name}", (string?)x.Value))
                        .Append(new("ConnectionStrings:RabbitMq", "amqp://work%2Fers:secret@broker/pipeline"))
                )
                .Build()
        );
}
