using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Sees a batch through: waits while the database cannot be reached, finds the one command that fails among its
/// neighbours, and notices a command that ends its worker.
/// </summary>
internal sealed partial class LaneApplier(
    LaneWriter writer,
    LaneSuspects suspects,
    TimeProvider clock,
    ILogger<LaneApplier> logger
)
{
    // Deadlocks and serialization failures end by themselves. After so many in a row an operator should know.
    private const int ContentionsBeforeWarning = 10;

    private static readonly TimeSpan PauseFirst = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan PauseLimit = TimeSpan.FromSeconds(1);

    /// <summary>Decides and commits every entry; on return each has its decision.</summary>
    /// <param name="lane">For the log and the suspects.</param>
    /// <param name="batch">In the lane's order.</param>
    /// <param name="given">Ends the waiting when the lane has been given up. Nothing is lost: the broker delivers
    /// again.</param>
    public async Task ApplyAsync(int lane, IReadOnlyList<LaneEntry> batch, CancellationToken given)
    {
        if (batch is [{ Redeliveries: >= LaneBatch.SuspectAfterRedeliveries } only])
        {
            await ApplySuspectAsync(lane, only, given);
            return;
        }

        if (await TryCommitAsync(lane, batch, given) is not { } error)
            return;

        if (batch.Count == 1)
        {
            await FailAsync(lane, batch[0], Describe(error), error, given);
            return;
        }

        // One of them fails for good and took the others' transaction down. Halves of halves find it.
        BatchBroken(lane, batch.Count, error.Message);
        var half = batch.Count / 2;
        await ApplyAsync(lane, [.. batch.Take(half)], given);
        await ApplyAsync(lane, [.. batch.Skip(half)], given);
    }

    /// <summary>Applies a command that may have ended its worker. It comes alone, and its start is counted.</summary>
    private async Task ApplySuspectAsync(int lane, LaneEntry entry, CancellationToken given)
    {
        var ended = await PersistAsync(lane, x => suspects.BeginAsync(entry.Key, lane, x), given);
        try
        {
            if (ended >= LaneSuspects.EndedWorkersLimit)
            {
                var reason = $"The worker ended {ended} times while it applied this command alone.";
                await FailAsync(lane, entry, reason, error: null, given);
            }
            else if (await TryCommitAsync(lane, [entry], given) is { } error)
                await FailAsync(lane, entry, Describe(error), error, given);
        }
        catch
        {
            // Given up, for instance because the lease is lost: this worker lives, so this start proves nothing.
            await suspects.TakeBackAsync(entry.Key);
            throw;
        }

        await PersistAsync(lane, x => suspects.EndAsync(entry.Key, x), given);
    }

    private async Task FailAsync(int lane, LaneEntry entry, string reason, Exception? error, CancellationToken given)
    {
        CommandFailed(error, lane, entry.Name, entry.CommandId, entry.ProjectId, reason);
        await PersistAsync(
            lane,
            async x =>
            {
                await writer.CommitFailureAsync(entry, reason, x);
                return 0;
            },
            given
        );
    }

    /// <returns>Null when it is committed; the error that no retry helps otherwise.</returns>
    private async Task<Exception?> TryCommitAsync(int lane, IReadOnlyList<LaneEntry> batch, CancellationToken given)
    {
        try
        {
            await PersistAsync(
                lane,
                async x =>
                {
                    await writer.CommitAsync(batch, x);
                    return 0;
                },
                given
            );
            return null;
        }
        catch (Exception e) when (!given.IsCancellationRequested && e is not OutOfMemoryException)
        {
            return e;
        }
    }

    /// <summary>
    /// Retries what is transient for as long as the lane is held: an outage or a conflict with another writer is not
    /// the command's fault, and order must hold. The lane's progress limit bounds it.
    /// </summary>
    private async Task<T> PersistAsync<T>(int lane, Func<CancellationToken, Task<T>> work, CancellationToken given)
    {
        var contentions = 0;
        for (var pause = PauseFirst; ; pause = pause * 2 < PauseLimit ? pause * 2 : PauseLimit)
        {
            try
            {
                return await work(given);
            }
            catch (Exception e) when (Transience.IsContention(e) && !given.IsCancellationRequested)
            {
                var level = ++contentions < ContentionsBeforeWarning ? LogLevel.Information : LogLevel.Warning;
                Contention(level, lane, contentions, e.Message);
            }
            catch (Exception e) when (Transience.IsOutage(e) && !given.IsCancellationRequested)
            {
                Outage(lane, e.Message, pause);
            }

            await Task.Delay(pause, clock, given);
        }
    }

    private static string Describe(Exception error) =>
        $"{error.GetType().Name}: {error.Message}".Replace("\0", "\\0", StringComparison.Ordinal);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Lane {Lane}: {Command} {CommandId} of {ProjectId} failed: {Reason}"
    )]
    private partial void CommandFailed(
        Exception? error,
        int lane,
        string command,
        Guid commandId,
        Guid projectId,
        string reason
    );

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Lane {Lane}: a batch of {Count} failed, now in halves: {Error}"
    )]
    private partial void BatchBroken(int lane, int count, string error);

    [LoggerMessage(Message = "Lane {Lane}: serialization conflict number {Count}, retrying: {Error}")]
    private partial void Contention(LogLevel level, int lane, int count, string error);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Lane {Lane}: the database cannot be reached, retrying in {Pause}: {Error}"
    )]
    private partial void Outage(int lane, string error, TimeSpan pause);
}
