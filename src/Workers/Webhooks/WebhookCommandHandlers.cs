using Pipeline.Contracts.Webhooks;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Webhooks;

/// <summary>Makes a subscription, or changes it.</summary>
internal sealed class SubscribeWebhookHandler(SubscriptionLedger subscriptions) : RowCommandHandler<SubscribeWebhook>
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

    protected override async Task<Decision?> DecideAsync(CommandWork work, SubscribeWebhook command) =>
        WebhookRules.Refuse(command) is { } rule
            ? Decision.Rejected(rule)
            : await subscriptions.SubscribeAsync(work, command);
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
