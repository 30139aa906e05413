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
    Originals originals,
    OutagePatience patience,
    RenderingOptions options,
    TimeProvider clock,
    ILogger<RenderImageConsumer> logger
) : IConsumer<RenderImage>
{
    // Below RabbitMQ's consumer time-out of 30 minutes, for all that one delivery does and waits for. The claim has
    // only some of it, so that the longest attempt still has time to be stored and recorded.
    private static readonly TimeSpan DeliveryLimit = TimeSpan.FromMinutes(28);
    private static readonly TimeSpan ClaimLimit = TimeSpan.FromMinutes(3);

    // Of that, for the record behind the store.
    private static readonly TimeSpan RecordReserve = TimeSpan.FromMinutes(2);

    // What a stopping process may still take to give its claim back; else the lease lapses by itself.
    private static readonly TimeSpan ReleaseLimit = TimeSpan.FromSeconds(3);

    public async Task Consume(ConsumeContext<RenderImage> context)
    {
        var (request, cancellation) = (context.Message, context.CancellationToken);
        var delivered = clock.GetTimestamp();
        var claim = await patience.RunAsync(
            request.GenerationId,
            ClaimLimit,
            () => leases.ClaimAsync(request, cancellation),
            cancellation
        );
        if (claim is null)
            return;

        Begun(claim.GenerationId, claim.Attempt, claim.Epoch, claim.Model);
        // Until the end is recorded: a lease that lapsed while it waits for a server would be paid for once more.
        await using var keeper = new LeaseKeeper(leases, claim, options.LeaseLength, clock, logger);
        var end = await RenderAsync(request, claim, keeper, delivered, cancellation);
        if (await patience.RunAsync(claim.GenerationId, Left(delivered), end, cancellation))
            Ended(claim.GenerationId, claim.Attempt, claim.Epoch);
        else
            TooLate(claim.GenerationId, claim.Attempt, claim.Epoch);
    }

    private TimeSpan Left(long delivered) => DeliveryLimit - clock.GetElapsedTime(delivered);

    /// <returns>What records the end, and says whether the lease was still held.</returns>
    private async Task<Func<Task<bool>>> RenderAsync(
        RenderImage request,
        RenderClaim claim,
        LeaseKeeper keeper,
        long delivered,
        CancellationToken cancellation
    )
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, keeper.Lost);
        try
        {
            var result = providers.Find(request.Model) is { } provider
                ? await provider.RenderAsync(request, either.Token)
                : new RenderFailure(RenderFailureKinds.Refused, $"model: '{request.Model}' is not known here.");
            return await EndOfAsync(claim, result, delivered, either.Token);
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
        long delivered,
        CancellationToken cancellation
    )
    {
        switch (result)
        {
            case RenderedPicture picture:
                var limit = Left(delivered) - RecordReserve;
                var stored = await originals.StoreAsync(claim, picture, limit, cancellation);
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
