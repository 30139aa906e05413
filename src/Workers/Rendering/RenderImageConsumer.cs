using System.Security.Cryptography;
using MassTransit;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Rendering;

/// <summary>Renders one attempt under a lease, and tells the saga how it ended.</summary>
/// <remarks>
/// A redelivered message finds the lease still alive, or the attempt ended, and is dropped: taking over is the sweep's
/// business, which sees a lease that nobody renews. A crash may leave an object without its row, never the reverse.
/// </remarks>
internal sealed partial class RenderImageConsumer(
    RenderLeases leases,
    RenderLedger ledger,
    Providers providers,
    ProviderGates gates,
    IImageStore store,
    OutagePatience patience,
    RenderingOptions options,
    TimeProvider clock,
    ILogger<RenderImageConsumer> logger
) : IConsumer<RenderImage>
{
    // What a stopping process may still take to give its claim back; else the lease lapses by itself.
    private static readonly TimeSpan ReleaseLimit = TimeSpan.FromSeconds(3);

    public async Task Consume(ConsumeContext<RenderImage> context)
    {
        var (request, cancellation) = (context.Message, context.CancellationToken);
        var claim = await patience.RunAsync(
            request.GenerationId,
            () => leases.ClaimAsync(request, cancellation),
            cancellation
        );
        if (claim is null)
            return;

        Begun(claim.GenerationId, claim.Attempt, claim.Epoch, claim.Model);
        var end = await RenderAsync(request, claim, cancellation);
        if (await patience.RunAsync(claim.GenerationId, end, cancellation))
            Ended(claim.GenerationId, claim.Attempt, claim.Epoch);
        else
            TooLate(claim.GenerationId, claim.Attempt, claim.Epoch);
    }

    /// <returns>What records the end, and says whether the lease was still held.</returns>
    private async Task<Func<Task<bool>>> RenderAsync(
        RenderImage request,
        RenderClaim claim,
        CancellationToken cancellation
    )
    {
        await using var keeper = new LeaseKeeper(leases, claim, options.LeaseLength, clock, logger);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, keeper.Lost);
        try
        {
            var result = providers.Find(request.Model) is { } provider
                ? await provider.RenderAsync(request, either.Token)
                : new RenderFailure(RenderFailureKinds.Refused, $"model: '{request.Model}' is not known here.");
            return await EndOfAsync(claim, result, either.Token);
        }
        catch (Exception) when (keeper.Lost.IsCancellationRequested)
        {
            return () => ledger.DiscardAsync(claim);
        }
        catch (Exception) when (cancellation.IsCancellationRequested)
        {
            // The process stops. With this token MassTransit gives the message back; another worker can begin at once.
            await ReleaseAsync(claim);
            throw new OperationCanceledException(cancellation);
        }
        catch (Exception e) when (e is StorageUnavailableException or StorageMisconfiguredException)
        {
            // Rendering again costs money, and does not help where a person has to change the settings.
            var kind = e is StorageMisconfiguredException ? RenderFailureKinds.Refused : RenderFailureKinds.Transient;
            return () =>
                ledger.FailAsync(claim, new RenderFailure(kind, $"The picture could not be stored: {e.Message}"));
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Broken(claim.GenerationId, claim.Attempt, e);
            var failure = new RenderFailure(RenderFailureKinds.Transient, $"{e.GetType().Name}: {e.Message}");
            return () => ledger.FailAsync(claim, failure);
        }
    }

    private async Task<Func<Task<bool>>> EndOfAsync(
        RenderClaim claim,
        RenderResult result,
        CancellationToken cancellation
    )
    {
        switch (result)
        {
            case RenderedPicture picture:
                var stored = await StoreAsync(claim, picture, cancellation);
                return () => ledger.SucceedAsync(claim, stored);

            case RenderFailure failure:
                Failed(claim.GenerationId, claim.Attempt, claim.Model, failure.Kind);
                return () => ledger.FailAsync(claim, failure);

            case ProviderBusy busy:
                var pause = ProviderGates.Bound(busy.Pause ?? options.GatePause);
                if (busy.ClosesGate)
                    await gates.CloseAsync(claim.Model, pause, busy.Reason);
                Postponed(claim.GenerationId, claim.Attempt, claim.Model, pause);
                return () => ledger.PostponeAsync(claim, pause, busy.Reason);

            default:
                throw new NotSupportedException(result.ToString());
        }
    }

    private async Task<StoredObject> StoreAsync(
        RenderClaim claim,
        RenderedPicture picture,
        CancellationToken cancellation
    )
    {
        var (content, format) = (picture.Content, picture.Facts.Format);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(content.Span));
        var key = ObjectKeys.ForGenerated(claim.GenerationId, sha256, format.Extension, claim.Attempt);
        await store.PutOnceAsync(key, content, format.ContentType, cancellation);
        Stored(claim.GenerationId, claim.Attempt, key, picture.Facts.Width, picture.Facts.Height);
        return await store.HeadAsync(key, cancellation)
            ?? throw new InvalidOperationException($"{key} was deleted while it was stored.");
    }

    private async Task ReleaseAsync(RenderClaim claim)
    {
        try
        {
            using var limit = new CancellationTokenSource(ReleaseLimit, clock);
            await leases.ReleaseAsync(claim, limit.Token);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            NotReleased(claim.GenerationId, claim.Attempt, e.Message);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Attempt {Attempt} of generation {GenerationId} begins with model {Model}, epoch {Epoch}"
    )]
    private partial void Begun(Guid generationId, int attempt, long epoch, string model);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Attempt {Attempt} of generation {GenerationId} is stored as {Key}, {Width}×{Height}"
    )]
    private partial void Stored(Guid generationId, int attempt, string key, int width, int height);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Attempt {Attempt} of generation {GenerationId} failed with model {Model}: {Kind}"
    )]
    private partial void Failed(Guid generationId, int attempt, string model, string kind);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Attempt {Attempt} of generation {GenerationId} waits {Pause} for model {Model}"
    )]
    private partial void Postponed(Guid generationId, int attempt, string model, TimeSpan pause);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Attempt {Attempt} of generation {GenerationId} is recorded, epoch {Epoch}"
    )]
    private partial void Ended(Guid generationId, int attempt, long epoch);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Attempt {Attempt} of generation {GenerationId} changes nothing: the lease of epoch {Epoch} is lost"
    )]
    private partial void TooLate(Guid generationId, int attempt, long epoch);

    [LoggerMessage(Level = LogLevel.Error, Message = "Attempt {Attempt} of generation {GenerationId} broke")]
    private partial void Broken(Guid generationId, int attempt, Exception error);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The lease of generation {GenerationId}, attempt {Attempt}, stays until it lapses: {Error}"
    )]
    private partial void NotReleased(Guid generationId, int attempt, string error);
}
