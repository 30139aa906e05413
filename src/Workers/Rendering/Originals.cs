using System.Security.Cryptography;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Rendering;

/// <summary>Stores rendered images, each under a key of its attempt.</summary>
internal sealed partial class Originals(
    IImageStore store,
    OutagePatience patience,
    ProviderGates gates,
    RenderingOptions options,
    ILogger<Originals> logger
)
{
    /// <summary>
    /// Stores an image that is paid for. While the store is away it is held here and tried again, and the store's gate
    /// keeps everybody from paying for more.
    /// </summary>
    /// <param name="claim">The attempt.</param>
    /// <param name="picture">Its image.</param>
    /// <param name="limit">How long to wait for the store.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="StorageUnavailableException">The limit is over.</exception>
    /// <exception cref="StorageMisconfiguredException">Waiting does not help: the settings are wrong.</exception>
    public Task<StoredObject> StoreAsync(
        RenderClaim claim,
        RenderedPicture picture,
        TimeSpan limit,
        CancellationToken cancellation
    )
    {
        var (content, format) = (picture.Content, picture.Facts.Format);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(content.Span));
        var key = ObjectKeys.ForGenerated(claim.GenerationId, sha256, format.Extension, claim.Attempt);
        return patience.RunAsync(claim.GenerationId, limit, PutAsync, cancellation);

        async Task<StoredObject> PutAsync()
        {
            try
            {
                await store.PutOnceAsync(key, content, format.ContentType, cancellation);
                var stored = await store.HeadAsync(key, cancellation);
                Stored(claim.GenerationId, claim.Attempt, key, picture.Facts.Width, picture.Facts.Height);
                return stored ?? throw new InvalidOperationException($"{key} was deleted while it was stored.");
            }
            catch (StorageUnavailableException e)
            {
                await gates.CloseAsync(ProviderGates.Store, options.GatePause, e.Message);
                throw;
            }
        }
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Attempt {Attempt} of generation {GenerationId} is stored as {Key}, {Width}×{Height}"
    )]
    private partial void Stored(Guid generationId, int attempt, string key, int width, int height);
}
