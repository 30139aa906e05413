using Microsoft.Extensions.Hosting;

namespace Pipeline.Workers.Persistence;

/// <summary>
/// A piece of work that is done again and again, in every process at once: it claims its rows with
/// <c>FOR UPDATE SKIP LOCKED</c>.
/// </summary>
/// <remarks>
/// Whatever goes wrong in a turn is logged and tried in the next. An exception that left here would end the whole
/// worker: that is what the host does with a background service that fails.
/// </remarks>
internal abstract partial class Sweeper(TimeSpan every, TimeProvider clock, ILogger logger) : BackgroundService
{
    private static readonly SemaphoreSlim FirstTurns = new(1);

    // A first turn that finds much to do does not hold up the others.
    private static readonly TimeSpan FirstTurnWait = TimeSpan.FromSeconds(1);

    protected TimeProvider Clock { get; } = clock;

    /// <summary>One turn. Claims end by themselves, so it may stop at any point.</summary>
    protected abstract Task SweepAsync(CancellationToken stopping);

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await SweepFirstAsync(stoppingToken);
            // From here on, so that the turns of several sweepers do not fall together later.
            using var timer = new PeriodicTimer(every, Clock);
            while (await timer.WaitForNextTickAsync(stoppingToken))
                await TrySweepAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops; another one sweeps.
        }
    }

    /// <summary>
    /// The sweepers of a process take their first turns one after the other, in one session. All at once, each would
    /// open a session of its own, which costs PostgreSQL as much as a hundred turns, when a worker is wanted most.
    /// </summary>
    private async Task SweepFirstAsync(CancellationToken stopping)
    {
        var isMine = await FirstTurns.WaitAsync(FirstTurnWait, stopping);
        try
        {
            await TrySweepAsync(stopping);
        }
        finally
        {
            if (isMine)
                FirstTurns.Release();
        }
    }

    private async Task TrySweepAsync(CancellationToken stopping)
    {
        try
        {
            await SweepAsync(stopping);
        }
        catch (Exception e) when (!stopping.IsCancellationRequested && e is not OutOfMemoryException)
        {
            // An outage is a line; anything else is a defect, and its place is wanted.
            TurnFailed(Transience.IsOutage(e) || Transience.IsContention(e) ? null : e, GetType().Name, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Sweeper} tries again at its next turn: {Error}")]
    private partial void TurnFailed(Exception? exception, string sweeper, string error);
}
