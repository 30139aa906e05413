using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Rendering;

/// <summary>
/// Repeats a step while the database or the store is away: what cannot be recorded or stored is paid for once more.
/// </summary>
internal sealed partial class OutagePatience(TimeProvider clock, ILogger<OutagePatience> logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    /// <param name="generationId">For the log.</param>
    /// <param name="limit">For all tries together; one that has begun by then may end.</param>
    /// <param name="work">Safe to repeat.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    public async Task<T> RunAsync<T>(
        Guid generationId,
        TimeSpan limit,
        Func<Task<T>> work,
        CancellationToken cancellation
    )
    {
        var started = clock.GetTimestamp();
        while (true)
        {
            try
            {
                return await work();
            }
            catch (Exception e) when (IsOutage(e) && clock.GetElapsedTime(started) < limit)
            {
                ServerAway(generationId, e.Message);
                await Task.Delay(Pause, clock, cancellation);
            }
        }
    }

    private static bool IsOutage(Exception error) =>
        Transience.IsOutage(error) || Transience.IsContention(error) || error is StorageUnavailableException;

    [LoggerMessage(Level = LogLevel.Warning, Message = "Generation {GenerationId} waits for a server: {Error}")]
    private partial void ServerAway(Guid generationId, string error);
}
