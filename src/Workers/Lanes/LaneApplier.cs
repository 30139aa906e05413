using Npgsql;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Sees a batch through: waits out a database that is away, finds the one command that fails among its neighbours, and
/// notices a command that kills its worker.
/// </summary>
internal sealed partial class LaneApplier(LaneWriter writer, NpgsqlDataSource source, ILogger<LaneApplier> logger)
{
    // Deadlocks and serialization failures end by themselves; ten in a row is a defect and not bad luck.
    private const int ContentionLimit = 10;

    // From here on a message is begun alone and counted, so that the one that kills its worker is found.
    private const int SuspectAfterRedeliveries = 2;

    private const int SuspectStartLimit = 3;

    private static readonly TimeSpan PauseFirst = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan PauseLimit = TimeSpan.FromSeconds(1);

    private const string BeginSuspectSql = """
        insert into pipeline.lane_suspects as s (command_id, lane, starts, last_start) values ($1, $2, 1, now())
        on conflict (command_id) do update set starts = s.starts + 1, last_start = now()
        returning starts
        """;

    private const string EndSuspectSql = "delete from pipeline.lane_suspects where command_id = $1";

    /// <summary>True for a message that may have killed its worker, and is therefore applied alone.</summary>
    public static bool IsSuspect(LaneEntry entry) => entry.Redeliveries >= SuspectAfterRedeliveries;

    /// <summary>Decides and commits every entry; on return each has its decision.</summary>
    /// <param name="lane">For the log and the suspects.</param>
    /// <param name="batch">In the lane's order; a suspect comes alone.</param>
    /// <param name="given">Ends the waiting when the lane has been given up. Nothing is lost: the broker delivers again.</param>
    public async Task ApplyAsync(int lane, IReadOnlyList<LaneEntry> batch, CancellationToken given)
    {
        if (batch is [var only] && IsSuspect(only))
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

        // One of them fails for good and took the others' transaction down. Alone, each stands for itself.
        BatchBroken(lane, batch.Count, error.Message);
        foreach (var entry in batch)
            await ApplyAsync(lane, [entry], given);
    }

    private async Task ApplySuspectAsync(int lane, LaneEntry entry, CancellationToken given)
    {
        var starts = (int)
            (await PersistAsync(lane, x => ScalarAsync(BeginSuspectSql, x, entry.CommandId, lane), given))!;
        if (starts > SuspectStartLimit)
        {
            var reason = $"The worker ended {SuspectStartLimit} times while it applied this command alone.";
            await FailAsync(lane, entry, reason, error: null, given);
        }
        else if (await TryCommitAsync(lane, [entry], given) is { } error)
            await FailAsync(lane, entry, Describe(error), error, given);

        await PersistAsync(lane, x => ScalarAsync(EndSuspectSql, x, entry.CommandId), given);
    }

    private async Task FailAsync(int lane, LaneEntry entry, string reason, Exception? error, CancellationToken given)
    {
        CommandFailed(error, lane, entry.Name, entry.CommandId, entry.ProjectId, reason);
        await PersistAsync(
            lane,
            async x =>
            {
                await writer.CommitFailureAsync(entry, reason, x);
                return null;
            },
            given
        );
    }

    /// <returns>Null when it is committed; the error that no retry mends otherwise.</returns>
    private async Task<Exception?> TryCommitAsync(int lane, IReadOnlyList<LaneEntry> batch, CancellationToken given)
    {
        try
        {
            await PersistAsync(
                lane,
                async x =>
                {
                    await writer.CommitAsync(batch, x);
                    return null;
                },
                given
            );
            return null;
        }
        catch (Exception e) when (!given.IsCancellationRequested)
        {
            return e;
        }
    }

    /// <summary>
    /// Retries what is transient. An outage is waited out for as long as the lane is held, since it is nobody's fault
    /// and order must hold; the lease, which needs the same database, bounds it.
    /// </summary>
    private async Task<object?> PersistAsync(
        int lane,
        Func<CancellationToken, Task<object?>> work,
        CancellationToken given
    )
    {
        var contentions = 0;
        for (var pause = PauseFirst; ; pause = pause * 2 < PauseLimit ? pause * 2 : PauseLimit)
        {
            try
            {
                return await work(given);
            }
            catch (Exception e) when (Transience.IsContention(e) && ++contentions < ContentionLimit)
            {
                Contention(lane, e.Message);
            }
            catch (Exception e) when (Transience.IsOutage(e) && !given.IsCancellationRequested)
            {
                Outage(lane, e.Message, pause);
            }

            await Task.Delay(pause, given);
        }
    }

    private async Task<object?> ScalarAsync(string sql, CancellationToken cancellation, params object[] parameters)
    {
        await using var command = source.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        return await command.ExecuteScalarAsync(cancellation);
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
        Message = "Lane {Lane}: a batch of {Count} broke, now one by one: {Error}"
    )]
    private partial void BatchBroken(int lane, int count, string error);

    [LoggerMessage(Level = LogLevel.Information, Message = "Lane {Lane}: writers met, trying again: {Error}")]
    private partial void Contention(int lane, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Lane {Lane}: the database is away, waiting {Pause}: {Error}")]
    private partial void Outage(int lane, string error, TimeSpan pause);
}
