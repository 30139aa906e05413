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
    private const string CommandsQueue = "webhook-commands";

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
        bus.AddSingleton(new WorkQueue(CommandsQueue, [.. commands.Select(WireNames.ExchangeOf)]));
        bus.AddCommand<SubscribeWebhook, SubscribeWebhookHandler>(_ => InOrder<SubscribeWebhook>(), CommandsQueue);
        bus.AddCommand<UnsubscribeWebhook, UnsubscribeWebhookHandler>(
            _ => InOrder<UnsubscribeWebhook>(),
            CommandsQueue
        );
        bus.AddCommand<ReplayWebhook, ReplayWebhookHandler>(_ => InOrder<ReplayWebhook>(), CommandsQueue);
        bus.AddCommand<PingWebhook, PingWebhookHandler>(_ => InOrder<PingWebhook>(), CommandsQueue);
        bus.AddSingleton(
            new CarriedCommand(
                typeof(SubscribeWebhook),
                x => SubscribeWebhookHandler.WithoutSecret((SubscribeWebhook)x),
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

    // One at a time: those of one sender take effect in their order, and there are few.
    private static CommandQueue<T> InOrder<T>()
        where T : class => new(Concurrency: 1) { Passes = WebhookRetries.Pass };
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

/// <summary>What passes by itself besides the database's own troubles.</summary>
internal static class WebhookRetries
{
    public static bool Pass(Exception error) => error is BrokerAwayException;
}
