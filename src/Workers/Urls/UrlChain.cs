using System.Text.Json;
using Pipeline.Wire;

namespace Pipeline.Workers.Urls;

/// <summary>A step that did not give what was wanted.</summary>
internal sealed record FailedStep(string Step, string Code, string Reason);

/// <summary>A stored URL.</summary>
/// <param name="Steps">The steps before its own, as JSON.</param>
internal sealed record StoredUrl(
    string Variant,
    int Version,
    string Url,
    string Strategy,
    bool Degraded,
    string Steps,
    DateTimeOffset SignedAt,
    DateTimeOffset RefreshAfter,
    DateTimeOffset ExpiresAt
)
{
    public static string Write(IReadOnlyList<FailedStep> steps) => JsonSerializer.Serialize(steps, WireJson.Options);
}

/// <summary>How a chain ended for one variant of a picture.</summary>
/// <param name="Url">Null where every step failed.</param>
/// <param name="IsSigned">False where <paramref name="Url"/> is an earlier one that stands.</param>
/// <param name="Failed">Every step that did not give what was wanted, in order.</param>
internal sealed record ChainResult(StoredUrl? Url, bool IsSigned, IReadOnlyList<FailedStep> Failed)
{
    public string Reason => string.Join(" ", Failed.Select(x => $"{x.Step}: {x.Reason}"));
}

/// <summary>The ways to come by one variant's URL, in order: the first that works is taken.</summary>
internal sealed class UrlChain(
    VariantOptions variant,
    IReadOnlyList<IUrlStep> steps,
    UrlsOptions options,
    TimeProvider clock
)
{
    // A window of a third leaves a short-lived URL most of its life in browsers' caches.
    private const int WindowShare = 3;
    private const double DegradedSpread = 0.5;

    /// <summary>For people.</summary>
    public string Description => string.Join(", ", steps.Select(x => x.Name));

    /// <summary>True where a URL need not be looked at: it is of this version and its refresh window is closed.</summary>
    public bool Stands(StoredUrl? url, int version) =>
        url is not null && url.Version == version && clock.GetUtcNow() < url.RefreshAfter;

    /// <param name="name">The variant.</param>
    /// <param name="picture">Its picture.</param>
    /// <param name="earlier">
    /// The stored URL. A degraded one is tried again long before it ends; where its own step is the first that works
    /// again, it is kept byte for byte.
    /// </param>
    /// <param name="force">True signs anew even then.</param>
    /// <param name="cancellation">Ends with the claim: the step that is asked then counts as failed.</param>
    public async Task<ChainResult> SignAsync(
        string name,
        ClaimedImage picture,
        StoredUrl? earlier,
        bool force,
        CancellationToken cancellation
    )
    {
        var request = new UrlRequest(picture.ObjectKey, variant, options.Lifetime);
        var failed = new List<FailedStep>();
        foreach (var step in steps)
        {
            var now = clock.GetUtcNow();
            if (!force && failed.Count > 0 && earlier is not null && IsKept(earlier, step, picture.Version, now))
                return new ChainResult(TriedAgain(earlier, failed, now), IsSigned: false, failed);

            switch (await AskAsync(step, request, cancellation))
            {
                case SignedUrl signed:
                    if (signed.Flaw is { } flaw)
                        failed.Add(new FailedStep(step.Name, flaw.Code, flaw.Reason));
                    return new ChainResult(Stored(name, picture.Version, step, signed, failed, now), true, failed);
                case StepFailure failure:
                    failed.Add(new FailedStep(step.Name, failure.Code, failure.Reason));
                    break;
                case var other:
                    throw new NotSupportedException(other.ToString());
            }
        }

        return new ChainResult(Url: null, IsSigned: false, failed);
    }

    private static async Task<StepAnswer> AskAsync(IUrlStep step, UrlRequest request, CancellationToken cancellation)
    {
        try
        {
            cancellation.ThrowIfCancellationRequested();
            return await step.SignAsync(request, cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return new StepFailure(StepFailures.OutOfTime, "The time for this picture was spent.");
        }
    }

    private bool IsKept(StoredUrl earlier, IUrlStep step, int version, DateTimeOffset now) =>
        earlier.Degraded
        && earlier.Version == version
        && earlier.Strategy == step.Name
        && now < WindowOf(earlier.SignedAt, earlier.ExpiresAt);

    private StoredUrl TriedAgain(StoredUrl earlier, List<FailedStep> failed, DateTimeOffset now) =>
        earlier with
        {
            Steps = StoredUrl.Write(failed),
            RefreshAfter = Earlier(RetryOf(now), WindowOf(earlier.SignedAt, earlier.ExpiresAt)),
        };

    private StoredUrl Stored(
        string name,
        int version,
        IUrlStep step,
        SignedUrl signed,
        List<FailedStep> failed,
        DateTimeOffset now
    )
    {
        var opens = WindowOf(now, signed.ExpiresAt);
        var spread = (signed.ExpiresAt - opens) * (Random.Shared.NextDouble() / 2);
        return new StoredUrl(
            name,
            version,
            signed.Url,
            step.Name,
            Degraded: failed.Count > 0,
            StoredUrl.Write(failed),
            now,
            failed.Count > 0 ? Earlier(RetryOf(now), opens) : opens + spread,
            signed.ExpiresAt
        );
    }

    /// <summary>When the refresh window of a URL opens.</summary>
    private DateTimeOffset WindowOf(DateTimeOffset signed, DateTimeOffset expires)
    {
        var share = (expires - signed) / WindowShare;
        return expires - (share < options.RefreshAhead ? share : options.RefreshAhead);
    }

    private DateTimeOffset RetryOf(DateTimeOffset now) =>
        now + options.DegradedRetry * (1 - DegradedSpread / 2 + DegradedSpread * Random.Shared.NextDouble());

    private static DateTimeOffset Earlier(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;
}
