using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Urls;

/// <summary>Signs pictures that have no URLs yet, and renews URLs ahead of their end. Runs in every process.</summary>
/// <remarks>
/// Each look takes one batch of each kind, so that saving at full speed is not slowed down: a backlog waits, and
/// reads that meet a picture of it ask for it themselves.
/// </remarks>
internal sealed partial class UrlSweeper(
    DueUrls due,
    UrlSigner signer,
    UrlVariants variants,
    UrlMetrics metrics,
    UrlsOptions options,
    TimeProvider clock,
    ILogger<UrlSweeper> logger
) : Sweeper(options.SweepEvery, clock, logger)
{
    private static readonly TimeSpan BacklogEvery = TimeSpan.FromSeconds(15);

    // Each process begins somewhere else, so that together they are round sooner.
    private Guid _examinedTo = Guid.NewGuid();
    private DateTimeOffset _backlogAt = DateTimeOffset.MinValue;

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        await variants.TellAsync(stopping);
        await SignAsync(await due.DueAsync(UrlSigner.BatchLimit, stopping), stopping);
        (var unsigned, _examinedTo) = await due.UnsignedAsync(_examinedTo, UrlSigner.BatchLimit, stopping);
        await SignAsync(unsigned, stopping);
        if (Clock.GetUtcNow() - _backlogAt < BacklogEvery)
            return;
        metrics.Show(await due.BacklogAsync(stopping));
        _backlogAt = Clock.GetUtcNow();
    }

    private async Task SignAsync(Guid[] images, CancellationToken stopping)
    {
        if (images.Length == 0)
            return;
        var results = await signer.SignAsync(images, UrlDemand.Sweep, also: null, stopping);
        var failed = results.Where(x => x.Outcome == UrlOutcome.Failed).ToList();
        if (failed.Count > 0)
            SigningFailed(failed.Count, results.Count, failed[0].Image.Id, failed[0].FailureReason);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "URLs of {Failed} of {Count} pictures could not be signed, the first {ImageId}: {Reason}"
    )]
    private partial void SigningFailed(int failed, int count, Guid imageId, string? reason);
}
