using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Rendering;

/// <summary>Waits while the database is away: nothing could be recorded, and a dead letter would only be another loss.</summary>
internal sealed partial class OutagePatience(TimeProvider clock, ILogger<OutagePatience> logger)
{
    // Together with an attempt still below RabbitMQ's consumer time-out of 30 minutes.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(8);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    /// <param name="generationId">For the log.</param>
    /// <param name="work">Safe to repeat.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    public async Task<T> RunAsync<T>(Guid generationId, Func<Task<T>> work, CancellationToken cancellation)
    {
        var started = clock.GetTimestamp();
        while (true)
        {
            try
            {
                return await work();
            }
            catch (Exception e)
                when ((Transience.IsOutage(e) || Transience.IsContention(e)) && clock.GetElapsedTime(started) < Limit)
            {
                DatabaseAway(generationId, e.Message);
                await Task.Delay(Pause, clock, cancellation);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Generation {GenerationId} waits for the database: {Error}")]
    private partial void DatabaseAway(Guid generationId, string error);
}
