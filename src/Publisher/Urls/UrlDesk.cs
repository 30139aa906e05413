using System.Collections.Concurrent;
using Pipeline.Publisher.Storage;

namespace Pipeline.Publisher.Urls;

/// <summary>
/// Resolves pictures to URLs that work: a cached one where there is one, asking for its renewal when that is due; a
/// new one from the workers where there is none; and in the last resort one that is signed here.
/// </summary>
internal sealed partial class UrlDesk(
    UrlReads reads,
    UrlRequests requests,
    S3Store store,
    TimeProvider clock,
    ILogger<UrlDesk> logger
)
{
    /// <summary>How long a URL works that is signed here: long enough for a slow page, too short to be passed around.</summary>
    public static readonly TimeSpan SignedFor = TimeSpan.FromMinutes(15);

    // A worker signs within milliseconds; a reader should not wait for an outage.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<Guid, Task> _waits = new();

    /// <summary>Those of the pictures that are shown, each with a URL for every variant.</summary>
    /// <exception cref="Amazon.Runtime.AmazonClientException">There is none cached, and none can be signed here either.</exception>
    public async Task<List<PictureUrls>> ResolveAsync(Guid[] images, CancellationToken cancellation)
    {
        var variants = await reads.VariantNamesAsync(cancellation);
        var pictures = await reads.OfAsync(images, cancellation);
        var missing = pictures.Where(x => Lacks(x, variants)).ToList();
        foreach (var due in pictures.Where(x => !Lacks(x, variants) && x.Urls.Values.Any(y => y.Due)))
            _ = requests.AskAsync(due); // It logs what goes wrong; the URL at hand still works.
        if (missing.Count == 0)
            return pictures;

        await WaitOnceAsync(missing, variants).WaitAsync(cancellation);
        pictures = await reads.OfAsync(images, cancellation);
        return [.. await Task.WhenAll(pictures.Select(x => CompleteAsync(x, variants)))];
    }

    private static bool Lacks(PictureUrls picture, string[] variants) =>
        variants.Any(x => !picture.Urls.ContainsKey(x));

    /// <summary>All readers of one picture share a wait; a page of pictures has its own.</summary>
    private Task WaitOnceAsync(List<PictureUrls> missing, string[] variants)
    {
        if (missing is not [var picture])
            return WaitAsync(missing, variants);
        var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var wait = _waits.GetOrAdd(picture.ImageId, source.Task);
        if (wait == source.Task)
            _ = ShareAsync();
        return wait;

        async Task ShareAsync()
        {
            await WaitAsync(missing, variants);
            _waits.TryRemove(picture.ImageId, out _);
            source.SetResult();
        }
    }

    /// <summary>Asks the workers and looks until nothing is missing or the patience ends. It does not throw.</summary>
    private async Task WaitAsync(List<PictureUrls> missing, string[] variants)
    {
        try
        {
            using var limit = new CancellationTokenSource(Patience, clock);
            var asked = await Task.WhenAll(missing.Select(requests.AskAsync)).WaitAsync(limit.Token);
            var ids = missing.Where((_, i) => asked[i]).Select(x => x.ImageId).ToArray();
            while (ids.Length > 0 && (await reads.OfAsync(ids, limit.Token)).Exists(x => Lacks(x, variants)))
                await Task.Delay(LookEvery, clock, limit.Token);
        }
        catch (OperationCanceledException)
        {
            // Nobody has signed it in time; whoever completes the picture says so.
        }
        catch (Exception e)
        {
            WaitEnded(missing[0].ImageId, e.Message);
        }
    }

    private async Task<PictureUrls> CompleteAsync(PictureUrls picture, string[] variants)
    {
        if (!Lacks(picture, variants))
            return picture;

        SignedHere(picture.ImageId);
        var (url, expires) = await store.SignAsync(picture.ObjectKey, SignedFor);
        var urls = new Dictionary<string, UrlRow>(picture.Urls, StringComparer.Ordinal);
        foreach (var variant in variants.Where(x => !urls.ContainsKey(x)))
        {
            urls[variant] = new UrlRow(
                variant,
                url,
                UrlLinks.Of(picture.ImageId, picture.Version, variant),
                "publisher",
                Degraded: true,
                Due: true,
                picture.ReadAt,
                picture.ReadAt,
                expires,
                [new FailedStep("workers", "no-url", picture.FailureReason ?? "No worker has signed it in time.")]
            );
        }

        return picture with
        {
            Urls = urls,
        };
    }

    [LoggerMessage(
        LogLevel.Warning,
        "No worker has signed picture {Image} in time; a URL of the original is signed here"
    )]
    private partial void SignedHere(Guid image);

    [LoggerMessage(LogLevel.Warning, "Waiting for URLs of picture {Image} ended: {Reason}")]
    private partial void WaitEnded(Guid image, string reason);
}
