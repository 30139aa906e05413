using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Tests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Messaging;

/// <summary>What the broker itself moves to the dead letters.</summary>
public sealed class DeadLetteringTests : SlicePipeline
{
    private const string Queue = "expires";

    [Fact]
    public async Task Message_whose_dead_letter_queue_does_not_take_it_stays_in_its_queue()
    {
        var options = Services.GetRequiredService<MessagingOptions>();
        await using var connection = await new ConnectionFactory { Uri = options.Broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        await QueueTopology.DeclareAsync(channel, new WorkQueue(Queue), default);
        var error = WireNames.ErrorQueue(Queue);
        using var management = new BrokerManagement();
        await management.SendAsync(
            HttpMethod.Put,
            $"/api/policies{options.Broker.AbsolutePath}/full",
            new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["pattern"] = $"^{error}$",
                ["apply-to"] = "queues",
                ["definition"] = new Dictionary<string, object>(StringComparer.Ordinal)
                {
                    ["max-length"] = 0,
                    ["overflow"] = "reject-publish",
                },
            }
        );
        await using var filling = await connection.CreateChannelAsync(new CreateChannelOptions(true, true));
        await Until.TrueAsync("the dead-letter queue takes nothing", () => IsRefusedAsync(filling, error));
        var before = await channel.MessageCountAsync(error);

        var expired = new BasicProperties { Expiration = "1", DeliveryMode = DeliveryModes.Persistent };
        await channel.BasicPublishAsync(Queue, "", mandatory: true, expired, "{}"u8.ToArray());

        await Until.TrueAsync(
            "the message waits for its dead-letter queue",
            async () =>
            {
                var json = await management.GetAsync($"/api/queues{options.Broker.AbsolutePath}/{Queue}");
                using var state = JsonDocument.Parse(json);
                return state.RootElement.TryGetProperty("messages_dlx", out var waiting) && waiting.GetInt32() == 1;
            }
        );
        (await channel.MessageCountAsync(error)).ShouldBe(before);
    }

    private static async Task<bool> IsRefusedAsync(IChannel channel, string exchange)
    {
        try
        {
            await channel.BasicPublishAsync(exchange, "", "{}"u8.ToArray());
            return false;
        }
        catch (RabbitMQ.Client.Exceptions.PublishException)
        {
            return true;
        }
    }

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() => [];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        // The broker alone.
    }
}
