namespace Pipeline.Workers.Rendering;

/// <summary>Renews a lease in the background, three times in its length, until it is disposed or lost.</summary>
internal sealed partial class LeaseKeeper : IAsyncDisposable
{
    private const int RenewalsPerLease = 3;

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
        while (true)
        {
            try
            {
                await Task.Delay(interval, clock, _done.Token);
                if (await leases.RenewAsync(claim, _done.Token))
                    continue;
                await _lost.CancelAsync();
                return;
            }
            catch (OperationCanceledException) when (_done.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                // Nobody else can take it over while the database is away; and who can, is noticed by the next renewal.
                NotRenewed(claim.GenerationId, claim.Attempt, e.Message);
            }
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The lease of generation {GenerationId}, attempt {Attempt}, is not renewed: {Error}"
    )]
    private partial void NotRenewed(Guid generationId, int attempt, string error);
}
