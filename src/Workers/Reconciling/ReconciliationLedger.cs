using Npgsql;
using NpgsqlTypes;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Reconciling;

/// <summary>
/// Reconciliations in the database. Every write compares the epoch: a worker whose lease has lapsed writes nothing.
/// </summary>
internal sealed class ReconciliationLedger(NpgsqlDataSource source, ReconcilingOptions options, TimeProvider clock)
{
    private const string ClaimSql = """
        update pipeline.reconciliations set epoch = epoch + 1, lease_until = now() + $1
        where id = (
            select id from pipeline.reconciliations where ended_at is null and lease_until <= now() and bucket = $2
            order by started_at limit 1 for update skip locked)
        returning id, scope, state, repair_of, request, replays, cutoff, read_bytes, coalesce(after_key, ''), after_finding,
                  objects, findings, epoch, started_at
        """;

    private const string StepSql = """
        update pipeline.reconciliations
        set state = $3, after_key = $4, after_finding = $5, objects = $6, rows = rows + $7, findings = $8,
            waits_for = null, lease_until = now() + $9, updated_at = now()
        where id = $1 and epoch = $2
        """;

    private const string FindSql = """
        with found as (
            insert into pipeline.reconciliation_findings
                (reconciliation_id, number, kind, key, project_id, image_id, detail)
            select $1, $2 + n, kind, key, project_id, image_id, detail
            from unnest($3, $4, $5, $6, $7) with ordinality as f(kind, key, project_id, image_id, detail, n)
            returning kind)
        update pipeline.reconciliations r set kinds = r.kinds || (
            select jsonb_object_agg(c.kind, c.count + coalesce((r.kinds ->> c.kind)::bigint, 0))
            from (select kind, count(*) as count from found group by kind) c)
        where r.id = $1
        """;

    private const string EndSql = """
        update pipeline.reconciliations
        set state = $3, failure_reason = $4, waits_for = null, updated_at = $5, ended_at = $5
        where id = $1 and epoch = $2
        """;

    private const string RenewSql = """
        update pipeline.reconciliations set lease_until = now() + $3
        where id = $1 and epoch = $2 and ended_at is null
        """;

    private const string WaitSql = """
        update pipeline.reconciliations set waits_for = $3, lease_until = now() + $4, updated_at = now()
        where id = $1 and epoch = $2
        """;

    /// <summary>Takes on the oldest reconciliation that nobody works on; null where there is none.</summary>
    public async Task<Reconciliation?> ClaimAsync(string bucket, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(ClaimSql);
        command.Parameters.AddWithValue(options.LeaseLength);
        command.Parameters.AddWithValue(bucket);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation)
            ? new Reconciliation(
                row.GetGuid(0),
                row.GetGuid(1),
                row.GetString(2),
                row.IsDBNull(3) ? null : row.GetGuid(3),
                row.GetFieldValue<byte[]>(4),
                row.GetInt32(5),
                row.GetFieldValue<DateTimeOffset>(6),
                row.GetBoolean(7),
                row.GetString(8),
                row.GetInt32(9),
                row.GetInt64(10),
                row.GetInt64(11),
                row.GetInt64(12),
                row.GetFieldValue<DateTimeOffset>(13)
            )
            : null;
    }

    /// <summary>Commits a stretch with its findings, and how far it is.</summary>
    /// <param name="next">As it is after the stretch.</param>
    /// <param name="rows">Keys of the database in the stretch.</param>
    /// <param name="findings">Those that are kept, behind the ones before.</param>
    /// <param name="firstNumber">Findings kept before.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <exception cref="ReconciliationLostException">Stop.</exception>
    public async Task KeepAsync(
        Reconciliation next,
        int rows,
        IReadOnlyList<Finding> findings,
        long firstNumber,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await StepAsync(connection, transaction, next, rows, cancellation);
        if (findings.Count > 0)
        {
            await using var find = new NpgsqlCommand(FindSql, connection, transaction);
            find.Parameters.AddWithValue(next.Id);
            find.Parameters.AddWithValue((int)firstNumber);
            find.Parameters.AddWithValue(findings.Select(x => x.Kind).ToArray());
            find.Parameters.AddWithValue(findings.Select(x => x.Key).ToArray());
            find.Parameters.AddWithValue(findings.Select(x => x.Picture?.ProjectId).ToArray());
            find.Parameters.AddWithValue(findings.Select(x => x.Picture?.ImageId).ToArray());
            find.Parameters.AddWithValue(findings.Select(x => x.Detail).ToArray());
            await find.ExecuteNonQueryAsync(cancellation);
        }

        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Moves it on in the open transaction.</summary>
    /// <exception cref="ReconciliationLostException">Stop.</exception>
    public async Task StepAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Reconciliation next,
        int rows,
        CancellationToken cancellation
    )
    {
        await using var step = new NpgsqlCommand(StepSql, connection, transaction);
        step.Parameters.AddWithValue(next.Id);
        step.Parameters.AddWithValue(next.Epoch);
        step.Parameters.AddWithValue(next.State);
        step.Parameters.AddWithValue(next.AfterKey);
        step.Parameters.AddWithValue(next.AfterFinding);
        step.Parameters.AddWithValue(next.Objects);
        step.Parameters.AddWithValue((long)rows);
        step.Parameters.AddWithValue(next.Findings);
        step.Parameters.AddWithValue(options.LeaseLength);
        if (await step.ExecuteNonQueryAsync(cancellation) == 0)
            throw new ReconciliationLostException(next.Id);
    }

    /// <summary>Ends it, with its receipt and its event.</summary>
    /// <exception cref="ReconciliationLostException">Stop.</exception>
    public async Task EndAsync(Reconciliation ended, string? failure, string reason, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var at = clock.GetDatabaseNow();
        await using (var end = new NpgsqlCommand(EndSql, connection, transaction))
        {
            end.Parameters.AddWithValue(ended.Id);
            end.Parameters.AddWithValue(ended.Epoch);
            end.Parameters.AddWithValue(failure is null ? Reconciliation.Completed : Reconciliation.Failed);
            end.Parameters.Add(
                new NpgsqlParameter { Value = (object?)failure ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text }
            );
            end.Parameters.AddWithValue(at);
            if (await end.ExecuteNonQueryAsync(cancellation) == 0)
                throw new ReconciliationLostException(ended.Id);
        }

        var decision = failure is null ? Decision.Applied(reason) : Decision.Failed(failure);
        var work = new CommandWork(connection, transaction, ended.Command, at, cancellation);
        await work.EndAsync(decision with { Announcements = [ended.Tell(failure, at)] }, isTakenBack: true);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Keeps it; does nothing where another worker has it by now.</summary>
    public async Task RenewAsync(Reconciliation run, CancellationToken cancellation)
    {
        await using var renew = source.CreateCommand(RenewSql);
        renew.Parameters.AddWithValue(run.Id);
        renew.Parameters.AddWithValue(run.Epoch);
        renew.Parameters.AddWithValue(options.LeaseLength);
        await renew.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Says what it waits for, and lets go of it until then.</summary>
    public async Task WaitAsync(Reconciliation run, string reason, TimeSpan pause, CancellationToken cancellation)
    {
        await using var wait = source.CreateCommand(WaitSql);
        wait.Parameters.AddWithValue(run.Id);
        wait.Parameters.AddWithValue(run.Epoch);
        wait.Parameters.AddWithValue(reason);
        wait.Parameters.AddWithValue(pause);
        await wait.ExecuteNonQueryAsync(cancellation);
    }
}
