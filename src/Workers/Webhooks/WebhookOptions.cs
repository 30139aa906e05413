using Microsoft.Extensions.Options;

namespace Pipeline.Workers.Webhooks;

/// <summary>Bounds of outgoing webhooks. Section <c>Webhooks</c>.</summary>
internal sealed class WebhookOptions : IValidateOptions<WebhookOptions>
{
    public const string Section = "Webhooks";

    // Standard Webhooks 1.0.0, "Deliverability and reliability": its example schedule, three days in all.
    private const string SpecifiedDelays =
        "00:00:05,00:05:00,00:30:00,02:00:00,05:00:00,10:00:00,14:00:00,20:00:00,1.00:00:00";

    private const int DelaysMax = 50;
    private static readonly TimeSpan DelayMax = TimeSpan.FromDays(7);

    /// <summary>
    /// Pauses between attempts, separated by commas; up to a fifth is added by chance. After the last one's attempt the
    /// delivery is dead. 1 to 50 of 0 to 7 days.
    /// </summary>
    public string RetryDelays { get; init; } = SpecifiedDelays;

    /// <summary>How long a receiver may take to answer. 0.1 seconds to 1 minute; the specification has 15 to 30 s.</summary>
    public TimeSpan AttemptTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Subscriptions that this process delivers to at once; to each, one event after the other. 1 to 64.</summary>
    public int ConcurrentDeliveries { get; init; } = 8;

    /// <summary>True lets a subscription lead into this network: only where everyone who may subscribe is trusted.</summary>
    public bool AllowPrivateNetworks { get; init; }

    /// <summary>Subscriptions that are not removed. 1 to 10,000.</summary>
    public int SubscriptionLimit { get; init; } = 1_000;

    /// <summary>A subscription with more deliveries waiting is disabled. 1 to 1,000,000.</summary>
    public int BacklogLimit { get; init; } = 100_000;

    /// <summary>How long deliveries that have ended, dead ones too, are kept. 1 minute to a year.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(14);

    /// <summary>How often due deliveries are looked for. Positive.</summary>
    public TimeSpan SweepEvery { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How long a delivery may be under way before another worker takes it over.</summary>
    public TimeSpan LeaseLength => AttemptTimeout * 2;

    /// <summary>The pauses as durations.</summary>
    public TimeSpan[] Delays =>
        [
            .. RetryDelays
                .Split(',', StringSplitOptions.TrimEntries)
                .Select(x => TimeSpan.TryParse(x, out var y) ? y : -DelayMax),
        ];

    /// <summary>The schedule's pause after an attempt, and up to a fifth more; null after the last one.</summary>
    /// <remarks>Those who failed together, because one receiver was away, do not come back together.</remarks>
    /// <param name="attempt">From 1.</param>
    /// <param name="chance">0 to 1.</param>
    public TimeSpan? PauseAfter(int attempt, double chance) =>
        attempt <= Delays.Length ? Delays[attempt - 1] * (1 + (chance / 5)) : null;

    public ValidateOptionsResult Validate(string? name, WebhookOptions options)
    {
        var problems = options.Problems().ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private IEnumerable<string> Problems()
    {
        var delays = Delays;
        if (delays.Length > DelaysMax || Array.Exists(delays, x => x < TimeSpan.Zero || x > DelayMax))
            yield return $"Webhooks:RetryDelays must be 1 to {DelaysMax} durations of 0 to 7 days, separated by commas.";
        if (AttemptTimeout < TimeSpan.FromMilliseconds(100) || AttemptTimeout > TimeSpan.FromMinutes(1))
            yield return "Webhooks:AttemptTimeout must be 0.1 seconds to 1 minute.";
        if (ConcurrentDeliveries is < 1 or > 64)
            yield return "Webhooks:ConcurrentDeliveries must be 1 to 64.";
        if (SubscriptionLimit is < 1 or > 10_000)
            yield return "Webhooks:SubscriptionLimit must be 1 to 10,000.";
        if (BacklogLimit is < 1 or > 1_000_000)
            yield return "Webhooks:BacklogLimit must be 1 to 1,000,000.";
        if (Retention < TimeSpan.FromMinutes(1) || Retention > TimeSpan.FromDays(365))
            yield return "Webhooks:Retention must be 1 minute to 365 days.";
        if (SweepEvery <= TimeSpan.Zero)
            yield return "Webhooks:SweepEvery must be positive.";
    }
}
