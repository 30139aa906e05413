using Pipeline.Contracts.Urls;
using Pipeline.Wire;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Urls;

/// <summary>A result with what its events say of the failures.</summary>
/// <param name="Result">What is stored.</param>
/// <param name="Failures">Failures since the last success, if this is one.</param>
/// <param name="RetryAt">When a failed picture is tried again; null where its URLs say.</param>
internal sealed record ToldResult(UrlResult Result, int Failures, DateTimeOffset? RetryAt);

/// <summary>The events of a signing. None of them carries a URL: who has one may read the picture.</summary>
internal static class UrlMessages
{
    public static IEnumerable<WireMessage> Of(ToldResult told, Guid claim, Guid? commandId, DateTimeOffset at)
    {
        var (image, result) = (told.Result.Image, told.Result);
        if (result.Outcome is UrlOutcome.GivenBack or UrlOutcome.Superseded)
            yield break;

        var signed = result.Chains.Where(x => x.Value.IsSigned).ToList();
        if (signed.Count > 0)
        {
            var refreshed = new UrlsRefreshed(
                commandId,
                image.ProjectId,
                image.Id,
                image.Version,
                [.. signed.Select(x => x.Key)],
                [.. signed.Where(x => x.Value.Url!.Degraded).Select(x => x.Key)],
                signed.Min(x => x.Value.Url!.ExpiresAt),
                at
            );
            yield return Announcement.OfCause(claim, refreshed, image.Id.ToString()).ToWire(image.ProjectId);
        }

        if (result.Outcome == UrlOutcome.Failed)
        {
            var failed = new UrlsRefreshFailed(
                commandId,
                image.ProjectId,
                image.Id,
                image.Version,
                [.. result.Chains.Where(x => x.Value.Url is null).Select(x => x.Key)],
                result.FailureReason!,
                told.Failures,
                told.RetryAt ?? at,
                at
            );
            yield return Announcement.OfCause(claim, failed, image.Id.ToString()).ToWire(image.ProjectId);
        }
    }
}
