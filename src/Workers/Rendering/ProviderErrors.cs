using Pipeline.Contracts.Generation;

namespace Pipeline.Workers.Rendering;

/// <summary>An error as OpenAI's image API tells it: <c>{"error":{"type","code","message"}}</c>.</summary>
/// <param name="Status">Of the HTTP answer; 200 where an error came under a false flag.</param>
/// <param name="Code">Null where the body has none.</param>
/// <param name="Type">Null where the body has none.</param>
/// <param name="Message">Null where the body has none.</param>
/// <param name="RetryAfter">From the headers.</param>
internal sealed record ProviderError(int Status, string? Code, string? Type, string? Message, TimeSpan? RetryAfter);

/// <summary>
/// What a provider's error means, by OpenAI's "Error codes" guide: which may pass, which never do, and which are a
/// verdict on the prompt.
/// </summary>
internal static class ProviderErrors
{
    private const int MessageLength = 500;

    private static readonly HashSet<string> Moderation = new(StringComparer.Ordinal)
    {
        "moderation_blocked",
        "content_policy_violation",
    };

    // They come with 429 as well, but no waiting helps: a person has to pay or to raise a limit.
    private static readonly HashSet<string> Spent = new(StringComparer.Ordinal)
    {
        "credit_balance_exhausted",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    };

    private static readonly HashSet<string> TooFast = new(StringComparer.Ordinal)
    {
        "rate_limit_exceeded",
        "slow_down",
    };

    public static RenderResult Classify(ProviderError error)
    {
        var reason = Describe(error);
        if (Is(error, Moderation))
            return new RenderFailure(RenderFailureKinds.Moderation, reason);
        if (Is(error, Spent))
            return new RenderFailure(RenderFailureKinds.Refused, reason);
        if (error.Status == 429 || Is(error, TooFast))
            return new ProviderBusy(error.RetryAfter, reason, ClosesGate: true);

        return error.Status switch
        {
            // No key, money or right, no such model or address; 501 and 505: what the server never does (RFC 9110).
            401 or 402 or 403 or 404 or 405 or 501 or 505 => new RenderFailure(RenderFailureKinds.Refused, reason),
            408 or >= 500 => new RenderFailure(RenderFailureKinds.Transient, reason, error.RetryAfter, IsOutage: true),
            >= 400 => new RenderFailure(RenderFailureKinds.Permanent, reason),
            // A gateway that sends its visitors elsewhere for a while.
            >= 300 => new RenderFailure(RenderFailureKinds.Transient, reason, IsOutage: true),
            _ when error.Type == "invalid_request_error" => new RenderFailure(RenderFailureKinds.Permanent, reason),
            _ => new RenderFailure(RenderFailureKinds.Transient, reason, error.RetryAfter),
        };
    }

    private static bool Is(ProviderError error, HashSet<string> codes) =>
        codes.Contains(error.Code ?? "") || codes.Contains(error.Type ?? "");

    private static string Describe(ProviderError error)
    {
        var name = error.Code ?? error.Type;
        var head = name is null
            ? $"The provider answered {error.Status}"
            : $"The provider answered {error.Status} {name}";
        if (string.IsNullOrWhiteSpace(error.Message))
            return head + ".";
        var message = new string([.. error.Message.Take(MessageLength).Select(x => char.IsControl(x) ? ' ' : x)]);
        return $"{head}: {message}";
    }
}
