using Microsoft.Extensions.AI;
using Pipeline.Contracts.Generation;
using Pipeline.Formats;
using Pipeline.Workers.Fetching;

namespace Pipeline.Workers.Rendering;

/// <summary>Takes a provider's picture in: copies it where only a URL came, and looks at the bytes.</summary>
internal sealed class PictureIntake(bool allowPrivateNetworks, TimeProvider clock) : IDisposable
{
    // The picture is paid for already, so a stumble of the file server is worth another try within the attempt.
    private const int FetchTries = 3;
    private const int RedirectLimit = 5;
    private const int Connections = 8;

    private static readonly TimeSpan FetchPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FetchTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);
    private static readonly ImageLimits Limits = new();
    private static readonly ImageLimits NoLimits = new(int.MaxValue, long.MaxValue);

    private readonly SourceFetcher _fetcher = new(
        "The provider's URL",
        new FetchLimits(
            ImageLimits.BytesMax,
            FetchTimeout,
            ConnectTimeout,
            RedirectLimit,
            Connections,
            allowPrivateNetworks
        ),
        clock
    );

    public async Task<RenderResult> TakeAsync(ImageGenerationResponse response, CancellationToken cancellation)
    {
        switch (response.Contents.FirstOrDefault())
        {
            case DataContent data:
                return Inspect(data.Data);
            case UriContent link:
                try
                {
                    return await FetchAsync(link.Uri, cancellation) switch
                    {
                        SourceBytes file => Inspect(file.Content),
                        SourceRefusal refusal => Transient(refusal.Reason),
                        var other => throw new NotSupportedException(other.ToString()),
                    };
                }
                catch (SourceUnavailableException e)
                {
                    return Transient(e.Message);
                }
            default:
                return Transient("The provider answered without a picture.");
        }
    }

    public void Dispose() => _fetcher.Dispose();

    private async Task<SourceResult> FetchAsync(Uri url, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await _fetcher.FetchAsync(url, cancellation);
            }
            catch (SourceUnavailableException) when (attempt < FetchTries)
            {
                await Task.Delay(FetchPause, clock, cancellation);
            }
        }
    }

    /// <remarks>Half a picture may be whole the next time; another format or size is what this model makes.</remarks>
    private static RenderResult Inspect(ReadOnlyMemory<byte> file)
    {
        if (ImageSniffer.Inspect(file.Span, Limits) is ImageFacts facts)
            return new RenderedPicture(file, facts);

        var reason = ImageSniffer.Inspect(file.Span, Limits) is ImageRefusal refusal ? refusal.Reason : "is no picture";
        var stays = !file.IsEmpty && (ImageSniffer.FormatOf(file.Span) is null || IsTooLarge(file.Span));
        return new RenderFailure(
            stays ? RenderFailureKinds.Permanent : RenderFailureKinds.Transient,
            $"The provider's file {reason}."
        );
    }

    private static bool IsTooLarge(ReadOnlySpan<byte> file) => ImageSniffer.Inspect(file, NoLimits) is ImageFacts;

    private static RenderFailure Transient(string reason) => new(RenderFailureKinds.Transient, reason);
}
