using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts.Storyboards;
using Pipeline.Contracts.Webhooks;
using Pipeline.Wire;
using Pipeline.Workers.Tests.Harness;
using Pipeline.Workers.Webhooks;

namespace Pipeline.Workers.Tests.Webhooks;

/// <summary>The webhooks on the real servers, with short pauses.</summary>
public sealed class WebhookPipeline : SlicePipeline
{
    public const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    public const int BacklogLimit = 20;

    internal WebhookKeeper Keeper => Worker.Services.GetRequiredService<WebhookKeeper>();

    /// <summary>Sends a command and returns how it ended: the outcome and, behind a colon, the reason.</summary>
    internal async Task<string> EndAsync<T>(T command, Guid commandId)
    {
        await SendAsync(command, commandId);
        return await WaitForAsync(
            "select concat_ws(': ', outcome, reason) from status.receipts where command_id = $1",
            commandId
        );
    }

    internal async Task<Guid> SubscribeAsync(Uri url, Guid? project = null, params string[] events)
    {
        var command = new SubscribeWebhook(Guid.NewGuid(), Guid.NewGuid(), url.ToString(), events, project, Secret);
        var end = await EndAsync(command, command.CommandId);
        return end == "applied" ? command.SubscriptionId : throw new InvalidOperationException(end);
    }

    /// <summary>An event as the lanes announce it.</summary>
    /// <returns>Its message id.</returns>
    internal async Task<Guid> TellAsync(Guid project, Guid? messageId = null)
    {
        var id = messageId ?? Guid.NewGuid();
        var told = new ScenesDefined(Guid.NewGuid(), project, 1, 2, DateTimeOffset.UnixEpoch);
        await SendAsync(told, id, routingKey: WireNames.RoutingKeyOf(project));
        return id;
    }

    /// <summary>Waits until a delivery is in a state, and returns its last status and error.</summary>
    internal Task<string> UntilAsync(Guid messageId, string state) =>
        WaitForAsync(
            $"""
            select concat_ws(' ', last_status, last_error, 'after', attempts) from status.webhook_deliveries
            where message_id = $1 and state = '{state}'
            """,
            messageId
        );

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        [
            new("Webhooks:AllowPrivateNetworks", "true"), // The stub is on loopback.
            new("Webhooks:RetryDelays", "00:00:00.1,00:00:00.1"),
            new("Webhooks:SweepEvery", "00:00:00.050"),
            new("Webhooks:BacklogLimit", $"{BacklogLimit}"),
        ];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration) =>
        bus.AddWebhooks(configuration);
}
