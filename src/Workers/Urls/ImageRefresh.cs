using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Urls;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Urls;

/// <summary>Renews one image's URLs for a command; its receipt commits with them.</summary>
internal sealed class ImageRefresh(UrlSigner signer, UrlClaims claims, UrlsOptions options, TimeProvider clock)
{
    /// <summary>How often an image is looked at that somebody else is signing.</summary>
    public static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    /// <exception cref="ImageBusyException">Others have kept it claimed for longer than claims live. Worth a retry.</exception>
    public async Task RefreshAsync(CommandRunner runner, RefreshRequest request, CancellationToken cancellation)
    {
        var (command, delivery) = (request.Command, request.Delivery);
        var image = command.ImageId!.Value;
        var started = clock.GetTimestamp();
        // Whoever holds the claim either stores what this command wants, or lets the claim end.
        while (clock.GetElapsedTime(started) < 3 * options.ClaimLength)
        {
            // While this delivery waited, another one may have ended the command. What is due by now is due for the
            // next command: signed under this one, it would be rolled back, and the call would be made for nothing.
            if (await runner.RecallAsync(delivery, cancellation))
                return;
            var standing = (await claims.StandingAsync([image], cancellation)).GetValueOrDefault(image);
            var decision = DecideWithoutSigning(command, standing);
            if (decision is null)
            {
                if (await SignAsync(request, image, cancellation))
                    return;
                standing = (await claims.StandingAsync([image], cancellation)).GetValueOrDefault(image);
                decision = DecideAfterOthers(command, standing);
            }

            if (decision is not null)
            {
                await runner.RunAsync(delivery, _ => Task.FromResult<Decision?>(decision), cancellation);
                return;
            }

            await Task.Delay(LookEvery, clock, cancellation);
        }

        throw new ImageBusyException(image);
    }

    /// <summary>Signs the image, if nobody else does; the receipt commits with the URLs.</summary>
    /// <returns>False where it has to be tried once more.</returns>
    private async Task<bool> SignAsync(RefreshRequest request, Guid image, CancellationToken cancellation)
    {
        var isEnded = false;
        await signer.SignAsync(
            [image],
            request.Demand,
            async (connection, transaction, results, token) =>
            {
                if (Decide(results[0]) is not { } decision)
                    return true;
                var at = clock.GetDatabaseNow();
                isEnded = true;
                // False where another delivery has ended the command: what is signed is rolled back.
                return await new CommandWork(connection, transaction, request.Delivery, at, token).EndAsync(decision);
            },
            cancellation
        );
        return isEnded;
    }

    private static Decision? DecideWithoutSigning(RefreshUrls command, UrlStanding? standing) =>
        standing switch
        {
            null => new(Outcomes.TargetMissing, "There is no such image yet; it is signed when it is shown."),
            _ when command.ProjectId is { } project && project != standing.ProjectId => Decision.Rejected(
                "projectId: is not the image's project."
            ),
            { IsDeleted: true } => Decision.Superseded("The image was deleted.") with
            {
                ProjectId = standing.ProjectId,
            },
            _ when command.ImageVersion is { } version && version != standing.Version => new(
                version > standing.Version ? Outcomes.TargetMissing : Outcomes.Superseded,
                $"The image is version {standing.Version}."
            )
            {
                ProjectId = standing.ProjectId,
            },
            { IsShown: false } => new(
                Outcomes.TargetMissing,
                "The image is kept out of sight; it is signed when it is shown."
            )
            {
                ProjectId = standing.ProjectId,
            },
            _ => null,
        };

    /// <summary>Others have signed it; null where it has to be tried once more.</summary>
    private static Decision? DecideAfterOthers(RefreshUrls command, UrlStanding? standing)
    {
        if (standing is not { IsClaimed: false, IsDue: false })
            return null;
        var isOurs = standing.SignedBy == command.CommandId;
        return !command.Force || isOurs
            ? new(isOurs ? Outcomes.Applied : Outcomes.Unchanged) { ProjectId = standing.ProjectId }
            : null;
    }

    /// <summary>Null where it has to be tried once more.</summary>
    private static Decision? Decide(UrlResult result)
    {
        var decision = result.Outcome switch
        {
            UrlOutcome.Signed => Decision.Applied(Degraded(result)),
            UrlOutcome.Kept => Decision.Unchanged(Degraded(result)),
            UrlOutcome.Failed => new(result.IsSigned ? Outcomes.Applied : Outcomes.Failed, result.FailureReason),
            UrlOutcome.Superseded => Decision.Superseded(
                "The image was replaced or deleted while it was being signed."
            ),
            _ => null,
        };
        return decision is null ? null : decision with { ProjectId = result.Image.ProjectId };
    }

    private static string? Degraded(UrlResult result)
    {
        var degraded = result.Chains.Where(x => x.Value.Url is { Degraded: true }).Select(x => x.Key).ToList();
        return degraded.Count == 0 ? null : $"Degraded: {string.Join(", ", degraded)}.";
    }
}

/// <summary>Others have kept the image claimed for longer than claims live.</summary>
internal sealed class ImageBusyException(Guid image)
    : Exception($"Image {image} is being signed by others all the time.");
