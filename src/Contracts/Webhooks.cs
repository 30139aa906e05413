using System.ComponentModel.DataAnnotations;

namespace Pipeline.Contracts.Webhooks;

/// <summary>
/// Command, for operators: deliver events to a URL from now on. The same subscription again replaces what it says, and
/// makes a disabled one active.
/// </summary>
/// <remarks>Deliveries are what Standard Webhooks 1.0.0 specifies (github.com/standard-webhooks/standard-webhooks).</remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="SubscriptionId">Chosen by the sender; not all zeros.</param>
/// <param name="Url">http or https, up to 2,048 characters, without a login.</param>
/// <param name="Events">Exchanges of events, such as <c>image-saved</c>; null or empty for all.</param>
/// <param name="ProjectId">Null for the events of all projects.</param>
/// <param name="Secret"><c>whsec_</c> and Base64 of 24 to 64 random bytes; never shown again.</param>
public sealed record SubscribeWebhook(
    Guid CommandId,
    Guid SubscriptionId,
    [StringLength(Limits.UrlLength, MinimumLength = 1)] string Url,
    IReadOnlyList<string>? Events,
    Guid? ProjectId,
    [DataType(DataType.Password)]
    [RegularExpression(Patterns.WebhookSecret, ErrorMessage = Patterns.WebhookSecretRule)]
        string Secret
);

/// <summary>Command, for operators: deliver nothing more. What is not delivered yet becomes dead.</summary>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="SubscriptionId">The subscription.</param>
public sealed record UnsubscribeWebhook(Guid CommandId, Guid SubscriptionId);

/// <summary>Command, for operators: deliver again, with all attempts anew and the same webhook id.</summary>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="SubscriptionId">The subscription, which must be active.</param>
/// <param name="MessageIds">Deliveries that have ended, by their events' message ids; null for all dead ones.</param>
public sealed record ReplayWebhook(Guid CommandId, Guid SubscriptionId, IReadOnlyList<Guid>? MessageIds);

/// <summary>Command, for operators: deliver a <c>webhook.ping</c>, to see whether the receiver answers and verifies.</summary>
/// <param name="CommandId">Chosen by the sender; not all zeros. Also the ping's message id.</param>
/// <param name="SubscriptionId">The subscription, which must be active.</param>
public sealed record PingWebhook(Guid CommandId, Guid SubscriptionId);

/// <summary>Event: nothing more is delivered to a subscription until somebody subscribes it again.</summary>
/// <param name="SubscriptionId">The subscription.</param>
/// <param name="ProjectId">Its project; all zeros where it takes the events of all.</param>
/// <param name="Reason">For people: the receiver answered 410, or too much waits for it.</param>
/// <param name="At">UTC.</param>
public sealed record WebhookDisabled(Guid SubscriptionId, Guid ProjectId, string Reason, DateTimeOffset At);
