using Pipeline.Contracts;
using Pipeline.Contracts.Webhooks;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Webhooks;

/// <summary>What a subscription may say.</summary>
internal static class WebhookRules
{
    /// <summary>Exchanges of the events that can be subscribed to: all of them.</summary>
    public static IReadOnlyList<string> Events { get; } = [.. EventTopology.Events.Select(Wire.WireNames.ExchangeOf)];

    /// <returns>Null, or the rule that the command breaks. Never the secret.</returns>
    public static string? Refuse(SubscribeWebhook command)
    {
        if (command.SubscriptionId == Guid.Empty)
            return "subscriptionId: must not be all zeros.";
        if (SourceUrl.Refuse(command.Url ?? "") is { } rule)
            return $"url: {rule}";
        if (command.Events?.Except(Events, StringComparer.Ordinal).FirstOrDefault() is { } unknown)
            return $"events: '{unknown}' is no event of this pipeline.";
        if (command.ProjectId == Guid.Empty)
            return "projectId: must not be all zeros; null is all projects.";
        return WebhookSignature.KeyOf(command.Secret ?? "") is null ? $"secret: {Patterns.WebhookSecretRule}" : null;
    }
}
