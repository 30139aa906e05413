using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Urls.Strategies;

/// <summary>A presigned URL of the store itself, signed here without a call.</summary>
internal sealed class S3Step(IImageStore store, TimeProvider clock) : IUrlStep
{
    public string Name => "s3";

    public async Task<StepAnswer> SignAsync(UrlRequest request, CancellationToken cancellation)
    {
        try
        {
            var signed = await store.PresignGetAsync(request.ObjectKey, request.Lifetime, cancellation);
            // Temporary credentials end a URL early, without a warning; the presigner says when.
            return signed.ExpiresAt < clock.GetUtcNow() + UrlsOptions.LifetimeMin
                ? new StepFailure(StepFailures.Credentials, $"The credentials end at {signed.ExpiresAt:u}.")
                : new SignedUrl(signed.Url.AbsoluteUri, signed.ExpiresAt);
        }
        catch (StorageMisconfiguredException e)
        {
            return new StepFailure(StepFailures.Credentials, e.Message);
        }
        catch (StorageUnavailableException e)
        {
            return new StepFailure(StepFailures.Unavailable, e.Message);
        }
    }
}
