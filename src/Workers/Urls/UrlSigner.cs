namespace Pipeline.Workers.Urls;

/// <summary>How signing one picture ended.</summary>
internal enum UrlOutcome
{
    /// <summary>At least one URL was signed and stored, and no variant failed.</summary>
    Signed,

    /// <summary>Every URL stands as it was.</summary>
    Kept,

    /// <summary>A variant has failed; what could be signed is stored, and the old URL of the other stays.</summary>
    Failed,

    /// <summary>The picture was replaced or deleted meanwhile; nothing is stored.</summary>
    Superseded,

    /// <summary>The time of the claim was spent before this picture's turn, or the claim was lost; nothing is stored.</summary>
    GivenBack,
}

/// <param name="Image">The picture as it was claimed.</param>
/// <param name="Outcome">What the database holds now.</param>
/// <param name="Chains">What was done for each variant that did not stand.</param>
internal sealed record UrlResult(
    ClaimedImage Image,
    UrlOutcome Outcome,
    IReadOnlyDictionary<string, ChainResult> Chains
)
{
    /// <summary>True where at least one URL was signed and is stored.</summary>
    public bool IsSigned => Outcome is UrlOutcome.Signed or UrlOutcome.Failed && Chains.Values.Any(x => x.IsSigned);

    /// <summary>Each failed variant with its steps; null where none has failed.</summary>
    public string? FailureReason =>
        Outcome == UrlOutcome.Failed
            ? string.Join(" ", Chains.Where(x => x.Value.Url is null).Select(x => $"{x.Key}: {x.Value.Reason}"))
            : null;
}

/// <summary>Who asks for URLs.</summary>
/// <param name="CommandId">Null for the sweep.</param>
/// <param name="Force">Signs what is not due as well.</param>
internal sealed record UrlDemand(Guid? CommandId, bool Force)
{
    public static readonly UrlDemand Sweep = new(CommandId: null, Force: false);
}

/// <summary>
/// The one path on which URLs come to be: claims pictures, asks their chains outside any transaction, and stores what
/// came of it in one transaction, only for pictures that are still what they were.
/// </summary>
internal sealed class UrlSigner(
    UrlClaims claims,
    UrlLedger ledger,
    UrlChains chains,
    UrlMetrics metrics,
    UrlsOptions options,
    TimeProvider clock
)
{
    /// <summary>Pictures in one batch.</summary>
    public const int BatchLimit = 200;

    /// <summary>Signs those of the pictures that are due and that nobody else is signing.</summary>
    /// <param name="images">At most <see cref="BatchLimit"/>.</param>
    /// <param name="demand">Who asks.</param>
    /// <param name="also">What is to commit in the same transaction; null for nothing.</param>
    /// <param name="cancellation">The caller's; the claims then end by themselves.</param>
    /// <returns>Those that were claimed, with what became of them.</returns>
    public async Task<IReadOnlyList<UrlResult>> SignAsync(
        IReadOnlyCollection<Guid> images,
        UrlDemand demand,
        AlongWithUrls? also,
        CancellationToken cancellation
    )
    {
        if (images.Count > BatchLimit)
            throw new ArgumentException($"A batch has at most {BatchLimit} pictures.", nameof(images));
        var claim = Guid.NewGuid();
        // Counted from before the claim, so that it ends here before it ends in the database.
        using var spent = new CancellationTokenSource(options.ClaimLength * 2 / 3, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, spent.Token);
        var claimed = await claims.TakeAsync(claim, images, demand, cancellation);
        if (claimed.Count == 0)
            return [];

        var results = new UrlResult[claimed.Count];
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = options.ConcurrentCalls };
        await Parallel.ForAsync(
            0,
            claimed.Count,
            parallel,
            async (i, _) => results[i] = await SignAsync(claimed[i], demand.Force, either.Token)
        );
        cancellation.ThrowIfCancellationRequested();
        var stored = await ledger.StoreAsync(claim, results, demand.CommandId, also, cancellation);
        metrics.Count(stored);
        return stored;
    }

    private async Task<UrlResult> SignAsync(ClaimedImage image, bool force, CancellationToken cancellation)
    {
        var made = new Dictionary<string, ChainResult>(StringComparer.Ordinal);
        if (cancellation.IsCancellationRequested)
            return new UrlResult(image, UrlOutcome.GivenBack, made);
        foreach (var (name, chain) in chains.Variants)
        {
            var earlier = image.Urls.GetValueOrDefault(name);
            if (force || !chain.Stands(earlier, image.Version))
                made[name] = await chain.SignAsync(name, image, earlier, force, cancellation);
        }

        var outcome =
            made.Values.Any(x => x.Url is null) ? UrlOutcome.Failed
            : made.Values.Any(x => x.IsSigned) ? UrlOutcome.Signed
            : UrlOutcome.Kept;
        return new UrlResult(image, outcome, made);
    }
}
