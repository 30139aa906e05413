using Npgsql;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
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
        insert into pipeline.lane_suspects (project_id, command_id, worker_id, lane, started_at)
        values ($1, $2, $3, $4, now())
        on conflict (project_id, command_id, worker_id) do update set started_at = excluded.started_at
        """;

    private const string EndedSql = """
        select count(*)::int from pipeline.lane_suspects s where s.project_id = $1 and s.command_id = $2
            and not exists (select from pipeline.workers w where w.id = s.worker_id and w.lease_until > now())
            and s.worker_id <> $3
        """;

    private const string EndSql = "delete from pipeline.lane_suspects where project_id = $1 and command_id = $2";

    private const string TakeBackSql = $"{EndSql} and worker_id = $3";

    /// <summary>Notes that this worker begins the command alone.</summary>
    /// <returns>How many workers have ended since they began it.</returns>
    public async Task<int> BeginAsync(CommandKey key, int lane, CancellationToken cancellation)
    {
        await using var batch = source.CreateBatch();
        batch.BatchCommands.Add(Statement(BeginSql, key.Scope, key.CommandId, worker.Id, lane));
        batch.BatchCommands.Add(Statement(EndedSql, key.Scope, key.CommandId, worker.Id));
        return (int)(await batch.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>The command has its receipt.</summary>
    public async Task<int> EndAsync(CommandKey key, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(EndSql);
        command.Parameters.AddWithValue(key.Scope);
        command.Parameters.AddWithValue(key.CommandId);
        return await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>
    /// This worker has stopped the command without an outcome, but lives. Failing to say so is harmless.
    /// </summary>
    public async Task TakeBackAsync(CommandKey key)
    {
        using var limit = new CancellationTokenSource(TakeBackLimit);
        try
        {
            await using var command = source.CreateCommand(TakeBackSql);
            command.Parameters.AddWithValue(key.Scope);
            command.Parameters.AddWithValue(key.CommandId);
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
