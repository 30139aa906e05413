using MassTransit;
using Microsoft.Extensions.Options;
using Pipeline.Contracts.Webhooks;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Webhooks;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class WebhooksSlice
{
    /// <summary>Adds the queues <c>webhook-commands</c> and <c>webhook-events</c>. Needs Persistence and Messaging.</summary>
    public static void AddWebhooks(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        bus.AddOptions<WebhookOptions>().Bind(configuration.GetSection(WebhookOptions.Section)).ValidateOnStart();
        bus.AddSingleton<IValidateOptions<WebhookOptions>, WebhookOptions>();
        bus.AddSingleton(provider => provider.GetRequiredService<IOptions<WebhookOptions>>().Value);
        bus.AddSingleton<EventBinder>();
        bus.AddSingleton<WebhookBindings>();
        bus.AddSingleton<SubscriptionLedger>();
        bus.AddSingleton<DeliveryLedger>();
        bus.AddSingleton<DeliveryTurns>();
        bus.AddSingleton<WebhookSender>();
        bus.AddSingleton<WebhookDesk>();
        bus.AddSingleton<WebhookMetrics>();
        bus.AddSingleton<WebhookKeeper>();
        bus.AddHostedService(provider => provider.GetRequiredService<WebhookKeeper>());
        bus.AddHostedService<WebhookDispatcher>();
        // Also those that are not delivered yet: what is left to tell is told by project-erased.
        bus.AddSingleton(ErasureRule.Delete("webhook-deliveries", "webhook_deliveries", "t.project_id = $1"));

        Type[] commands =
        [
            typeof(SubscribeWebhook),
            typeof(UnsubscribeWebhook),
            typeof(ReplayWebhook),
            typeof(PingWebhook),
        ];
        bus.AddSingleton(
            new WorkQueue(WebhookCommandsConsumerDefinition.Queue, [.. commands.Select(WireNames.ExchangeOf)])
        );
        bus.AddConsumer<WebhookCommandsConsumer, WebhookCommandsConsumerDefinition>();
        // Where it fails for good, its receipt is that of the command as its consumer compares it.
        bus.AddSingleton(
            new CarriedCommand(
                typeof(SubscribeWebhook),
                x => WebhookCommandsConsumer.WithoutSecret((SubscribeWebhook)x),
                _ => 0
            )
        );

        // Bound to events by subscriptions; see WebhookBindings.
        bus.AddSingleton(new WorkQueue(WebhookEventConsumer.Queue));
        foreach (var type in EventTopology.Events)
            bus.AddConsumer(
                typeof(WebhookEventConsumer<>).MakeGenericType(type),
                typeof(WebhookEventConsumerDefinition<>).MakeGenericType(type)
            );
    }
}

/// <summary>Queue <c>webhook-events</c>, one consumer for each type of event.</summary>
internal sealed class WebhookEventConsumerDefinition<T> : ConsumerDefinition<WebhookEventConsumer<T>>
    where T : class
{
    public WebhookEventConsumerDefinition() => EndpointName = WebhookEventConsumer.Queue;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<WebhookEventConsumer<T>> consumerConfigurator,
        IRegistrationContext context
    )
    {
        endpointConfigurator.PrefetchCount = WebhookEventConsumer.Prefetch;
        endpointConfigurator.ConcurrentMessageLimit = 1;
        DatabaseRetries.Configure(consumerConfigurator, WebhookRetries.Pass);
    }
}
