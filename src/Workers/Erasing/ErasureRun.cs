using Npgsql;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Erasing;

/// <summary>What the slices have registered: where a project's content may be.</summary>
internal sealed record ErasurePlan(
    IEnumerable<ErasureWait> Waits,
    IEnumerable<ErasureObjects> Objects,
    IEnumerable<ErasureRule> Rules,
    IEnumerable<ErasureNames> Names,
    IEnumerable<ErasureCount> Counts
);

/// <summary>
/// One pass over every location where a project's content may be. Each step may be taken twice; a worker that is killed
/// is succeeded by one that begins the pass anew and finds what is left.
/// </summary>
internal sealed class ErasureRun(
    ErasurePlan plan,
    ErasureStore erasures,
    IImageStore store,
    DeadLetterRemoval deadLetters,
    NpgsqlDataSource source
)
{
    // Rows or objects: a batch is over within milliseconds.
    private const int BatchLimit = 1_000;

    // A pass that finds something is followed by another one, because what was on its way may have come since. A client
    // that goes on sending to the project would have it go on for ever.
    private const int PassLimit = 5;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private const string QueuesSql = "select name from pipeline.queues order by name";

    /// <returns>What it waits for; null where the erasure has ended.</returns>
    public async Task<string?> RunAsync(Erasure erasure, CancellationToken cancellation)
    {
        if (await WaitAsync(erasure, cancellation) is { } reason)
            return await PostponeAsync(erasure, reason, erasure.Passes, cancellation);

        var found = await EraseObjectsAsync(erasure, cancellation);
        foreach (var rule in plan.Rules)
            found += await EraseRowsAsync(erasure, rule, cancellation);
        found += await EraseMessagesAsync(erasure, cancellation);
        if (found > 0 && erasure.Passes + 1 < PassLimit)
            return await PostponeAsync(erasure, "another pass", erasure.Passes + 1, cancellation);

        await erasures.EndAsync(erasure, plan.Counts, cancellation);
        return null;
    }

    private async Task<string> PostponeAsync(Erasure erasure, string reason, int passes, CancellationToken cancellation)
    {
        await erasures.PostponeAsync(erasure, Pause, reason, passes, cancellation);
        return reason;
    }

    private async Task<string?> WaitAsync(Erasure erasure, CancellationToken cancellation)
    {
        foreach (var wait in plan.Waits)
        {
            if (wait.HastenSql is { } hasten)
                await AskAsync(hasten, erasure.ProjectId, cancellation);
            if (await AskAsync(wait.Sql, erasure.ProjectId, cancellation) is true)
                return wait.For;
        }

        return null;
    }

    private async Task<long> EraseObjectsAsync(Erasure erasure, CancellationToken cancellation)
    {
        var found = 0L;
        foreach (var objects in plan.Objects)
        {
            // The rows that name them go afterwards, so the next ones are found behind the last key.
            for (var after = ""; ; )
            {
                var keys = await ReadAsync(
                    objects.Sql,
                    x => x.GetString(0),
                    cancellation,
                    erasure.ProjectId,
                    BatchLimit,
                    after
                );
                await erasures.CountAsync(erasure, objects.Location, keys.Count, cancellation);
                var refused = await store.DeleteManyAsync(keys, cancellation);
                if (refused.Count > 0)
                    throw new ObjectsRefusedException(refused[0]);
                await ObjectCatalog.RemoveAsync(source, keys, cancellation);
                found += keys.Count;
                if (keys.Count < BatchLimit)
                    break;
                after = keys[^1];
            }
        }

        return found;
    }

    private async Task<long> EraseRowsAsync(Erasure erasure, ErasureRule rule, CancellationToken cancellation)
    {
        var found = 0L;
        int rows;
        do
        {
            rows = await erasures.EraseAsync(erasure, rule.Location, rule.Sql, BatchLimit, cancellation);
            found += rows;
        } while (rows == BatchLimit);
        return found;
    }

    private async Task<long> EraseMessagesAsync(Erasure erasure, CancellationToken cancellation)
    {
        var names = new HashSet<Guid> { erasure.ProjectId };
        foreach (var more in plan.Names)
            names.UnionWith(await ReadAsync(more.Sql, x => x.GetGuid(0), cancellation, erasure.ProjectId));
        var messages = new ErasedMessages(names);
        return await deadLetters.RemoveAsync(
            await ReadAsync(QueuesSql, x => x.GetString(0), cancellation),
            messages.IsAbout,
            (queue, count) => erasures.CountAsync(erasure, $"dead-letters: {queue}", count, cancellation),
            cancellation
        );
    }

    private async Task<object?> AskAsync(string sql, Guid projectId, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(sql);
        command.Parameters.AddWithValue(projectId);
        return await command.ExecuteScalarAsync(cancellation);
    }

    private async Task<List<T>> ReadAsync<T>(
        string sql,
        Func<NpgsqlDataReader, T> read,
        CancellationToken cancellation,
        params object[] values
    )
    {
        await using var command = source.CreateCommand(sql);
        foreach (var value in values)
            command.Parameters.AddWithValue(value);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var found = new List<T>();
        while (await row.ReadAsync(cancellation))
            found.Add(read(row));
        return found;
    }
}

/// <summary>The store has kept an object that was to be deleted.</summary>
internal sealed class ObjectsRefusedException(FailedDeletion first)
    : Exception($"The store keeps {first.Key}: {first.Reason}");
