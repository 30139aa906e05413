using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;

namespace Pipeline.Workers.Urls;

/// <summary>Renews one picture's URLs for a command; its receipt commits with them.</summary>
internal sealed class PictureRefresh(
    UrlSigner signer,
    UrlClaims claims,
    CommandAnswers answers,
    RefreshReceipts receipts,
    UrlsOptions options,
    TimeProvider clock
)
{
    /// <summary>How often a picture is looked at that somebody else is signing.</summary>
    public static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    /// <returns>Null where another delivery of the same command has ended it.</returns>
    /// <exception cref="PictureBusyException">Others have kept it claimed for longer than claims live. Worth a retry.</exception>
    public async Task<RefreshEnd?> RefreshAsync(RefreshRequest request, CancellationToken cancellation)
    {
        var command = request.Command;
        var image = command.ImageId!.Value;
        var started = clock.GetTimestamp();
        // Whoever holds the claim either stores what this command wants, or lets the claim end.
        while (clock.GetElapsedTime(started) < 3 * options.ClaimLength)
        {
            // While this delivery waited, another one may have ended the command. What is due by now is due for the
            // next command: signed under this one, it would be rolled back, and the call would be made for nothing.
            if (await answers.RecallAsync(request.Delivery, cancellation))
                return null;
            var standing = (await claims.StandingAsync([image], cancellation)).GetValueOrDefault(image);
            if (EndWithoutSigning(request, standing) is { } end)
                return await receipts.RecordAsync(end, cancellation);

            RefreshEnd? signed = null;
            var isAnswered = false;
            await signer.SignAsync(
                [image],
                request.Demand,
                async (connection, transaction, results, token) =>
                {
                    signed = EndOf(request, results[0]);
                    isAnswered =
                        signed is not null && !await receipts.RecordAsync(connection, transaction, signed, token);
                    return !isAnswered;
                },
                cancellation
            );
            if (isAnswered)
                return null;
            if (signed is not null)
                return signed;
            standing = (await claims.StandingAsync([image], cancellation)).GetValueOrDefault(image);
            if (
                standing is { IsClaimed: false, IsDue: false }
                && (!command.Force || standing.SignedBy == command.CommandId)
            )
                return await receipts.RecordAsync(
                    new RefreshEnd(
                        request,
                        standing.SignedBy == command.CommandId ? Outcomes.Applied : Outcomes.Unchanged,
                        Reason: null,
                        standing.ProjectId
                    ),
                    cancellation
                );
            await Task.Delay(LookEvery, clock, cancellation);
        }

        throw new PictureBusyException(image);
    }

    private static RefreshEnd? EndWithoutSigning(RefreshRequest request, UrlStanding? standing)
    {
        var command = request.Command;
        return standing switch
        {
            null => new(
                request,
                Outcomes.TargetMissing,
                "There is no such picture yet; it is signed when it is shown."
            ),
            _ when command.ProjectId is { } project && project != standing.ProjectId => new(
                request,
                Outcomes.Rejected,
                "projectId: is not the picture's project."
            ),
            { IsDeleted: true } => new(request, Outcomes.Superseded, "The picture was deleted.", standing.ProjectId),
            _ when command.ImageVersion is { } version && version != standing.Version => new(
                request,
                version > standing.Version ? Outcomes.TargetMissing : Outcomes.Superseded,
                $"The picture is version {standing.Version}.",
                standing.ProjectId
            ),
            { IsShown: false } => new(
                request,
                Outcomes.TargetMissing,
                "The picture is kept out of sight; it is signed when it is shown.",
                standing.ProjectId
            ),
            _ => null,
        };
    }

    /// <summary>Null where it has to be tried once more.</summary>
    private static RefreshEnd? EndOf(RefreshRequest request, UrlResult result) =>
        result.Outcome switch
        {
            UrlOutcome.Signed => new(request, Outcomes.Applied, Degraded(result), result.Image.ProjectId),
            UrlOutcome.Kept => new(request, Outcomes.Unchanged, Degraded(result), result.Image.ProjectId),
            UrlOutcome.Failed => new(
                request,
                result.IsSigned ? Outcomes.Applied : Outcomes.Failed,
                result.FailureReason,
                result.Image.ProjectId
            ),
            UrlOutcome.Superseded => new(
                request,
                Outcomes.Superseded,
                "The picture was replaced or deleted while it was being signed.",
                result.Image.ProjectId
            ),
            _ => null,
        };

    private static string? Degraded(UrlResult result)
    {
        var degraded = result.Chains.Where(x => x.Value.Url is { Degraded: true }).Select(x => x.Key).ToList();
        return degraded.Count == 0 ? null : $"Degraded: {string.Join(", ", degraded)}.";
    }
}

/// <summary>Others have kept the picture claimed for longer than claims live.</summary>
internal sealed class PictureBusyException(Guid image)
    : Exception($"Picture {image} is being signed by others all the time.");
