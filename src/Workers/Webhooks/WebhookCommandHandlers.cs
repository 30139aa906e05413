using Pipeline.Contracts.Webhooks;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Webhooks;

/// <summary>Makes a subscription, or changes it.</summary>
internal sealed class SubscribeWebhookHandler(WebhookBindings bindings, SubscriptionLedger subscriptions)
    : ICommandHandler<SubscribeWebhook>
{
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

    /// <exception cref="Messaging.BrokerAwayException">The events could not be bound. Worth a retry.</exception>
    public Task HandleAsync(
        CommandRunner runner,
        CommandRequest request,
        SubscribeWebhook command,
        CancellationToken cancellation
    )
    {
        if (WebhookRules.Refuse(command) is { } rule)
            return runner.RefuseAsync(request, rule, cancellation);
        // Bound before it is subscribed, so that from its receipt on no event is missed. Nobody takes it back while the
        // lock is held.
        return bindings.HoldAsync(
            async () =>
            {
                if (await runner.RecallAsync(request, cancellation))
                    return;
                await bindings.AddAsync(command.Events ?? [], command.ProjectId, cancellation);
                await runner.RunAsync(
                    request,
                    async work => await subscriptions.SubscribeAsync(work, command),
                    cancellation
                );
            },
            cancellation
        );
    }
}

/// <summary>Ends a subscription.</summary>
internal sealed class UnsubscribeWebhookHandler : RowCommandHandler<UnsubscribeWebhook>
{
    protected override async Task<Decision?> DecideAsync(CommandWork work, UnsubscribeWebhook command) =>
        await SubscriptionLedger.RemoveAsync(work, command.SubscriptionId);
}

/// <summary>Has deliveries that ended delivered once more.</summary>
internal sealed class ReplayWebhookHandler : RowCommandHandler<ReplayWebhook>
{
    protected override async Task<Decision?> DecideAsync(CommandWork work, ReplayWebhook command) =>
        await DeliveryLedger.ReplayAsync(work, command);
}

/// <summary>Sends a subscription a message that shows that it works.</summary>
internal sealed class PingWebhookHandler : RowCommandHandler<PingWebhook>
{
    protected override async Task<Decision?> DecideAsync(CommandWork work, PingWebhook command) =>
        await DeliveryLedger.PingAsync(work, command);
}
