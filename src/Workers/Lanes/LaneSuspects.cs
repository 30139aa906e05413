using Npgsql;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Knows a command that ends its worker, for instance by exhausting its memory: <c>pipeline.lane_suspects</c> holds a
/// row for each worker that began such a command alone and has not come back from it.
/// </summary>
/// <remarks>
/// Only the rows of workers that no longer live count. A worker that lost its lease, its connection or its turn while
/// it applied the command lives on, and would otherwise convict an innocent command.
/// </remarks>
internal sealed class LaneSuspects(NpgsqlDataSource source, WorkerIdentity worker)
{
    /// <summary>So many ended workers are no coincidence: the command fails instead of a further try.</summary>
    public const int EndedWorkersLimit = 3;

    private static readonly TimeSpan TakeBackLimit = TimeSpan.FromSeconds(1);

    private const string BeginSql = """
        insert into pipeline.lane_suspects (command_id, worker_id, lane, started_at) values ($1, $2, $3, now())
        on conflict (command_id, worker_id) do update set started_at = excluded.started_at
        """;

    private const string EndedSql = """
        select count(*)::int from pipeline.lane_suspects s where s.command_id = $1
            and not exists (select from pipeline.workers w where w.id = s.worker_id and w.lease_until > now())
            and s.worker_id <> $2
        """;

    private const string EndSql = "delete from pipeline.lane_suspects where command_id = $1";

    private const string TakeBackSql = "delete from pipeline.lane_suspects where command_id = $1 and worker_id = $2";

    /// <summary>Notes that this worker begins the command alone.</summary>
    /// <returns>How many workers have ended since they began it.</returns>
    public async Task<int> BeginAsync(Guid commandId, int lane, CancellationToken cancellation)
    {
        await using var batch = source.CreateBatch();
        batch.BatchCommands.Add(Statement(BeginSql, commandId, worker.Id, lane));
        batch.BatchCommands.Add(Statement(EndedSql, commandId, worker.Id));
        return (int)(await batch.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>The command has its receipt.</summary>
    public async Task<int> EndAsync(Guid commandId, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(EndSql);
        command.Parameters.AddWithValue(commandId);
        return await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>
    /// This worker has stopped the command without an outcome, but lives. Failing to say so is harmless.
    /// </summary>
    public async Task TakeBackAsync(Guid commandId)
    {
        using var limit = new CancellationTokenSource(TakeBackLimit);
        try
        {
            await using var command = source.CreateCommand(TakeBackSql);
            command.Parameters.AddWithValue(commandId);
            command.Parameters.AddWithValue(worker.Id);
            await command.ExecuteNonQueryAsync(limit.Token);
        }
        catch (Exception e) when (Transience.IsOutage(e) || e is OperationCanceledException)
        {
            // The row counts only once this worker no longer lives.
        }
    }

    private static NpgsqlBatchCommand Statement(string sql, params ReadOnlySpan<object> parameters)
    {
        var statement = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
            statement.Parameters.Add(new NpgsqlParameter { Value = parameter });
        return statement;
    }
}
