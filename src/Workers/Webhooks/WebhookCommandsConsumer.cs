using MassTransit;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Webhooks;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Webhooks;

/// <summary>The commands of operators, one transaction each: effect, receipt and event.</summary>
internal sealed class WebhookCommandsConsumer(
    WebhookDesk desk,
    WebhookBindings bindings,
    SubscriptionLedger subscriptions,
    DeliveryLedger deliveries
) : IConsumer<SubscribeWebhook>, IConsumer<UnsubscribeWebhook>, IConsumer<ReplayWebhook>, IConsumer<PingWebhook>
{
    public Task Consume(ConsumeContext<SubscribeWebhook> context)
    {
        var command = context.Message;
        var cancellation = context.CancellationToken;
        var rule = WebhookRules.Refuse(command);
        // Bound before it is subscribed, so that from its receipt on no event is missed. Nobody takes it back
        // meanwhile.
        return bindings.HoldAsync(
            async () =>
            {
                if (rule is null)
                    await bindings.AddAsync(command.Events ?? [], command.ProjectId, cancellation);
                await desk.EndAsync(
                    RequestOf(context, WithoutSecret(command)),
                    rule,
                    (connection, transaction) =>
                        subscriptions.SubscribeAsync(connection, transaction, command, cancellation),
                    cancellation
                );
            },
            cancellation
        );
    }

    /// <summary>
    /// What is compared and kept: a kept conflict is shown to people, so it has neither the secret nor the URL's query;
    /// hashes tell two apart.
    /// </summary>
    public static SubscribeWebhook WithoutSecret(SubscribeWebhook command) =>
        command with
        {
            Url = $"{command.Url?.Split('?')[0]}?{SubscriptionLedger.Fingerprint(command.Url)}",
            Secret = SubscriptionLedger.Fingerprint(command.Secret),
        };

    public Task Consume(ConsumeContext<UnsubscribeWebhook> context) =>
        EndAsync(
            context,
            (connection, transaction) =>
                subscriptions.RemoveAsync(
                    connection,
                    transaction,
                    context.Message.SubscriptionId,
                    context.CancellationToken
                )
        );

    public Task Consume(ConsumeContext<ReplayWebhook> context) =>
        EndAsync(
            context,
            (connection, transaction) =>
                deliveries.ReplayAsync(connection, transaction, context.Message, context.CancellationToken)
        );

    public Task Consume(ConsumeContext<PingWebhook> context) =>
        EndAsync(
            context,
            (connection, transaction) =>
                deliveries.PingAsync(connection, transaction, context.Message, context.CancellationToken)
        );

    private Task EndAsync<T>(
        ConsumeContext<T> context,
        Func<NpgsqlConnection, NpgsqlTransaction, Task<Decision>> decide
    )
        where T : class =>
        desk.EndAsync(RequestOf(context, context.Message), rule: null, decide, context.CancellationToken);

    private static CommandRequest RequestOf(ConsumeContext context, object command) =>
        CommandRequest.Of(command, Delivery.Of(context.ReceiveContext));
}

/// <summary>Queue <c>webhook-commands</c>.</summary>
internal sealed class WebhookCommandsConsumerDefinition : ConsumerDefinition<WebhookCommandsConsumer>
{
    public const string Queue = "webhook-commands";

    public WebhookCommandsConsumerDefinition()
    {
        EndpointName = Queue;
        ConcurrentMessageLimit = 1; // Of one sender in order, and the commands are few.
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<WebhookCommandsConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(consumerConfigurator, WebhookRetries.Pass);
}

/// <summary>What passes by itself besides the database's own troubles.</summary>
internal static class WebhookRetries
{
    public static bool Pass(Exception error) => error is BrokerAwayException;
}

/// <summary>How a command ends.</summary>
/// <param name="Outcome">One of <see cref="Outcomes"/>.</param>
/// <param name="Reason">For people; null where the outcome says it all.</param>
internal sealed record Decision(string Outcome, string? Reason = null)
{
    public static Decision Applied(string? reason = null) => new(Outcomes.Applied, reason);

    public static Decision Unchanged(string reason) => new(Outcomes.Unchanged, reason);

    public static Decision Rejected(string reason) => new(Outcomes.Rejected, reason);
}
