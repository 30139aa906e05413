namespace Pipeline.Workers.Rendering;

/// <summary>Renews a lease in the background, three times in its length, until it is disposed or lost.</summary>
internal sealed partial class LeaseKeeper : IAsyncDisposable
{
    private const int RenewalsPerLease = 3;

    // After an error: the next try, and how long each may take. A lapsed lease can be renewed until a sweep has found
    // it, and the sweeps wait for a lease's length when the database comes back.
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan TryLimit = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _done = new();
    private readonly CancellationTokenSource _lost = new();
    private readonly ILogger _logger;
    private readonly Task _loop;

    public LeaseKeeper(RenderLeases leases, RenderClaim claim, TimeSpan length, TimeProvider clock, ILogger logger)
    {
        _logger = logger;
        _loop = RenewAsync(leases, claim, length / RenewalsPerLease, clock);
    }

    /// <summary>Cancelled when somebody else has the attempt, or it has ended.</summary>
    public CancellationToken Lost => _lost.Token;

    public async ValueTask DisposeAsync()
    {
        await _done.CancelAsync();
        await _loop;
        _done.Dispose();
        _lost.Dispose();
    }

    private async Task RenewAsync(RenderLeases leases, RenderClaim claim, TimeSpan interval, TimeProvider clock)
    {
        var pause = interval;
        while (true)
        {
            try
            {
                await Task.Delay(pause, clock, _done.Token);
                if (!await TryRenewAsync(leases, claim, clock))
                {
                    await _lost.CancelAsync();
                    return;
                }

                pause = interval;
            }
            catch (OperationCanceledException) when (_done.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                pause = RetryPause < interval ? RetryPause : interval;
                NotRenewed(claim.GenerationId, claim.Attempt, e.Message);
            }
        }
    }

    private async Task<bool> TryRenewAsync(RenderLeases leases, RenderClaim claim, TimeProvider clock)
    {
        using var limit = new CancellationTokenSource(TryLimit, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _done.Token);
        return await leases.RenewAsync(claim, either.Token);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The lease of generation {GenerationId}, attempt {Attempt}, is not renewed: {Error}"
    )]
    private partial void NotRenewed(Guid generationId, int attempt, string error);
}
