using Npgsql;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Lanes;

/// <summary>Which worker lives, and which one holds which lane: <c>pipeline.workers</c> and <c>pipeline.lanes</c>.</summary>
/// <remarks>All times are the database's, so that the clocks of the workers need not agree.</remarks>
internal sealed class LaneLeases(NpgsqlDataSource source, LaneOptions options, WorkerIdentity worker) : ILaneLeases
{
    private const string BeatSql = """
        insert into pipeline.workers (id, name, started_at, lease_until, takes_lanes)
        values ($1, $2, now(), now() + $3, $4)
        on conflict (id) do update set lease_until = excluded.lease_until, takes_lanes = excluded.takes_lanes
        """;

    private const string ForgetDeadSql = "delete from pipeline.workers where lease_until < now() - $1";

    // A worker that does not renew may be paused in a transaction, with the locks that its successor needs, or as the
    // leader of the outbox. Such sessions are ended, with their transactions; should it wake up, it connects anew.
    private const string EndSessionsSql = $"""
        select pg_terminate_backend(a.pid) from pg_stat_activity a
        join pipeline.workers w on a.application_name = '{WorkerIdentity.SessionPrefix}' || w.id
        where w.lease_until < now() and (a.xact_start is not null
            or exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory'))
        """;

    private const string RenewSql = """
        update pipeline.lanes set lease_until = now() + $2 where worker_id = $1 and lane = any($3)
        returning lane, epoch
        """;

    private const string HeldSql = """
        select w.id, count(l.lane)::int from pipeline.workers w
        left join pipeline.lanes l on l.worker_id = w.id and l.lease_until > now()
        where w.lease_until > now() and (w.takes_lanes or w.id = $1) group by w.id
        """;

    private const string TakeSql = """
        update pipeline.lanes set worker_id = $1, epoch = epoch + 1, lease_until = now() + $2
        where lane in (
            select lane from pipeline.lanes where worker_id is null or lease_until <= now() order by lane limit $3)
        returning lane, epoch
        """;

    private const string NextEndSql =
        "select min(lease_until) - now() from pipeline.lanes where lease_until > now() and worker_id <> $1";

    private const string ReleaseSql =
        "update pipeline.lanes set worker_id = null, lease_until = null where lane = $1 and worker_id = $2 and epoch = $3";

    // A worker that leaves in order has ended no command's suspicion by dying.
    private const string LeaveSql = """
        with suspects as (delete from pipeline.lane_suspects where worker_id = $1)
        delete from pipeline.workers where id = $1
        """;

    private const string PrepareSql =
        "insert into pipeline.lanes (lane) select generate_series(0, $1 - 1) on conflict do nothing";

    private const string CountSql = "select count(*)::int from pipeline.lanes";

    /// <summary>Makes the rows of the lanes once; later starts find them.</summary>
    /// <exception cref="InvalidOperationException">
    /// The database was set up for another lane count. Starting would send projects to lanes that nobody else expects.
    /// </exception>
    public async Task PrepareAsync(CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await LockAsync(connection, cancellation);
        var count = await ScalarAsync(connection, CountSql, cancellation);
        if (count == 0)
            await ExecuteAsync(connection, PrepareSql, cancellation, options.Count);
        else if (count != options.Count)
        {
            throw new InvalidOperationException(
                $"This pipeline has {count} lanes, but {LaneOptions.Section}__Count is {options.Count}. "
                    + "Changing the count is a drain-and-switch: see docs/operations.md."
            );
        }

        await transaction.CommitAsync(cancellation);
    }

    public async Task<LaneBalance> BalanceAsync(
        IReadOnlyCollection<int> alive,
        bool takesLanes,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await LockAsync(connection, cancellation);
        await BeatAsync(connection, takesLanes, cancellation);
        await ExecuteAsync(connection, EndSessionsSql, cancellation);
        await ExecuteAsync(connection, ForgetDeadSql, cancellation, options.LeaseLength * 12);
        var held = await RenewAsync(connection, alive, cancellation);

        var plan = LaneShares.Plan(worker.Id, await CountsAsync(connection, cancellation), options.Count);
        if (plan.Take > 0 && takesLanes)
        {
            var taken = await LanesAsync(connection, TakeSql, cancellation, worker.Id, options.LeaseLength, plan.Take);
            foreach (var (lane, epoch) in taken)
                held[lane] = epoch;
        }

        await using var next = Command(connection, NextEndSql, worker.Id);
        var nextEnd = await next.ExecuteScalarAsync(cancellation) as TimeSpan?;
        await transaction.CommitAsync(cancellation);
        return new LaneBalance(held, plan.HandOver, nextEnd);
    }

    public async Task<IReadOnlyDictionary<int, long>> RenewAsync(
        IReadOnlyCollection<int> alive,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await BeatAsync(connection, takesLanes: false, cancellation);
        return await RenewAsync(connection, alive, cancellation);
    }

    public async Task ReleaseAsync(int lane, long epoch, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await ExecuteAsync(connection, ReleaseSql, cancellation, lane, worker.Id, epoch);
    }

    public async Task LeaveAsync(CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await ExecuteAsync(connection, LeaveSql, cancellation, worker.Id);
    }

    private static Task LockAsync(NpgsqlConnection connection, CancellationToken cancellation) =>
        AdvisoryLock.Of(LockUse.LaneBalance).TakeAsync(connection, cancellation);

    private Task BeatAsync(NpgsqlConnection connection, bool takesLanes, CancellationToken cancellation) =>
        ExecuteAsync(connection, BeatSql, cancellation, worker.Id, worker.Name, options.LeaseLength, takesLanes);

    private Task<Dictionary<int, long>> RenewAsync(
        NpgsqlConnection connection,
        IReadOnlyCollection<int> alive,
        CancellationToken cancellation
    ) => LanesAsync(connection, RenewSql, cancellation, worker.Id, options.LeaseLength, alive.ToArray());

    private async Task<Dictionary<Guid, int>> CountsAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = Command(connection, HeldSql, worker.Id);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var counts = new Dictionary<Guid, int>();
        while (await reader.ReadAsync(cancellation))
            counts[reader.GetGuid(0)] = reader.GetInt32(1);
        return counts;
    }

    private static async Task<Dictionary<int, long>> LanesAsync(
        NpgsqlConnection connection,
        string sql,
        CancellationToken cancellation,
        params object[] parameters
    )
    {
        await using var command = Command(connection, sql, parameters);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var lanes = new Dictionary<int, long>();
        while (await reader.ReadAsync(cancellation))
            lanes[reader.GetInt32(0)] = reader.GetInt64(1);
        return lanes;
    }

    private static async Task<int> ScalarAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
        await using var command = Command(connection, sql);
        return (int)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private static async Task ExecuteAsync(
        NpgsqlConnection connection,
        string sql,
        CancellationToken cancellation,
        params object[] parameters
    )
    {
        await using var command = Command(connection, sql, parameters);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static NpgsqlCommand Command(NpgsqlConnection connection, string sql, params object[] parameters)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        return command;
    }
}
