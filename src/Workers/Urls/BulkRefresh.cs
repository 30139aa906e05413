using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;

namespace Pipeline.Workers.Urls;

/// <summary>Renews the URLs of a project, or all that are due, a batch at a time; the receipt comes last.</summary>
/// <remarks>
/// A crash leaves whole batches behind, which a redelivery finds done: URLs that are not due, or that this very
/// command has signed, are not signed again.
/// </remarks>
internal sealed class BulkRefresh(
    UrlSigner signer,
    UrlClaims claims,
    DueUrls due,
    UrlsOptions options,
    TimeProvider clock
)
{
    /// <summary>Pictures of one command. At this limit it stops, and its receipt says so: the sweep goes on with what is due.</summary>
    public const int PictureLimit = 100_000;

    public async Task RefreshAsync(CommandRunner runner, RefreshRequest request, CancellationToken cancellation)
    {
        if (await runner.RecallAsync(request.Delivery, cancellation))
            return;
        var tally = new Tally();
        var after = Guid.Empty;
        while (tally.Pictures < PictureLimit)
        {
            var images = request.Command.ProjectId is { } project
                ? await due.OfProjectAsync(project, after, UrlSigner.BatchLimit, cancellation)
                : await due.DueAsync(UrlSigner.BatchLimit, cancellation);
            if (images.Length == 0)
                break;
            after = images[^1];
            tally.Pictures += images.Length;
            var claimed = await SignAsync(request, images, tally, cancellation);
            // All that are due are asked for until none is left; what others have claimed is theirs.
            if (request.Command.ProjectId is null && claimed == 0)
                break;
        }

        if (request.Command.ProjectId is not null)
            await SignBusyAsync(request, tally, cancellation);
        await runner.RunAsync(request.Delivery, _ => Task.FromResult<Decision?>(tally.End()), cancellation);
    }

    /// <summary>Whoever holds a claim either stores what this command wants, or lets the claim end.</summary>
    private async Task SignBusyAsync(RefreshRequest request, Tally tally, CancellationToken cancellation)
    {
        var started = clock.GetTimestamp();
        while (tally.Busy.Count > 0 && clock.GetElapsedTime(started) < 3 * options.ClaimLength)
        {
            await Task.Delay(ImageRefresh.LookEvery, clock, cancellation);
            Guid[] busy = [.. tally.Busy];
            tally.Busy.Clear();
            foreach (var images in busy.Chunk(UrlSigner.BatchLimit))
                await SignAsync(request, images, tally, cancellation);
        }
    }

    /// <returns>How many could be claimed.</returns>
    private async Task<int> SignAsync(
        RefreshRequest request,
        Guid[] images,
        Tally tally,
        CancellationToken cancellation
    )
    {
        var results = await signer.SignAsync(images, request.Demand, also: null, cancellation);
        var standing = await claims.StandingAsync(images, cancellation);
        tally.Add(request.Command.CommandId, images, results, standing);
        return results.Count;
    }

    private sealed class Tally
    {
        private int _signed;
        private int _failed;
        private string? _reason;

        public int Pictures { get; set; }

        /// <summary>Those that others had claimed.</summary>
        public List<Guid> Busy { get; } = [];

        public void Add(
            Guid commandId,
            Guid[] images,
            IReadOnlyList<UrlResult> results,
            Dictionary<Guid, UrlStanding> standing
        )
        {
            var byId = results.ToDictionary(x => x.Image.Id);
            foreach (var image in images)
            {
                var result = byId.GetValueOrDefault(image);
                var stands = standing.GetValueOrDefault(image);
                if (result?.FailureReason is { } reason)
                {
                    _failed++;
                    _reason ??= reason;
                }
                else if (result is { IsSigned: true } || stands?.SignedBy == commandId)
                    _signed++;
                else if (result is { Outcome: UrlOutcome.GivenBack } || stands is { IsClaimed: true })
                    Busy.Add(image);
            }
        }

        public Decision End()
        {
            var outcome =
                _signed > 0 ? Outcomes.Applied
                : _failed > 0 ? Outcomes.Failed
                : Outcomes.Unchanged;
            var rest = Pictures - _signed - _failed - Busy.Count;
            var sentence =
                $"Of {Pictures} pictures: {_signed} signed, {rest} kept, {_failed} failed, {Busy.Count} busy.";
            if (Pictures >= PictureLimit)
                sentence += " It stopped at its limit.";
            return new Decision(outcome, _reason is null ? sentence : $"{sentence} The first: {_reason}");
        }
    }
}
