using System.Text;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Applies a batch of a lane: effect, receipts and project versions in one transaction, in the order of the lane.
/// </summary>
/// <remarks>
/// The receipt is the de-duplication. Every writer of a project holds its row lock while it looks for receipts, so a
/// process that was paused and wakes up finds the receipts of whoever took over, and changes nothing.
/// </remarks>
internal sealed class LaneWriter(
    NpgsqlDataSource source,
    IEnumerable<ILaneHandler> handlers,
    LaneMetrics metrics,
    TimeProvider clock
)
{
    private const string LockSql =
        "select id, version, deleted_at from pipeline.projects where id = any($1) order by id for update";

    // The place of a replayed command whose failure is not on record, because the retention has deleted it, or because
    // the broker's dead letter was replayed at once. Whatever has decided the same counts as newer.
    private const long Oldest = 0;

    private const string CreateSql = """
        insert into pipeline.projects (id, version, created_at, updated_at)
        select id, 0, $2, $2 from unnest($1) as id order by id
        on conflict do nothing
        """;

    private const string WriteVersionsSql = """
        update pipeline.projects p set version = x.version, updated_at = $3
        from unnest($1, $2) as x (id, version) where p.id = x.id
        """;

    private readonly Dictionary<Type, ILaneHandler> _handlers = handlers.ToDictionary(x => x.CommandType);

    /// <summary>Decides every entry and commits; on return each has its decision.</summary>
    /// <exception cref="Exception">Nothing was committed, or it is unknown; calling again is safe.</exception>
    public async Task CommitAsync(IReadOnlyList<LaneEntry> batch, CancellationToken cancellation)
    {
        var startedAt = clock.GetTimestamp();
        foreach (var entry in batch)
            entry.Forget();

        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var database = await connection.BeginTransactionAsync(cancellation);
        var transaction = new LaneTransaction(connection, database, clock.GetDatabaseNow());

        var known = await LockAsync(transaction, batch, cancellation);
        foreach (var run in Runs(transaction, batch, known))
        {
            await _handlers[run[0].Command!.GetType()].ApplyAsync(transaction, run, cancellation);
            foreach (var entry in run)
                known[entry.Key] = new Known(entry.RequestHash, entry.Decision!, entry.Replays, entry.Place);
            transaction.Decided(run);
        }

        await WriteReceiptsAsync(transaction, batch, cancellation);
        await database.CommitAsync(cancellation);
        metrics.Committed(batch, clock.GetElapsedTime(startedAt));
    }

    /// <summary>
    /// Records a command that could not be carried out, in a transaction of its own. One that has its receipt already,
    /// because its worker ended right after the commit, keeps it.
    /// </summary>
    public async Task CommitFailureAsync(LaneEntry entry, string reason, CancellationToken cancellation)
    {
        var startedAt = clock.GetTimestamp();
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var database = await connection.BeginTransactionAsync(cancellation);
        var transaction = new LaneTransaction(connection, database, clock.GetDatabaseNow());
        (string, object[]) locks = (LockSql, [new[] { entry.ProjectId }]);
        (string, object[]) receipts = ReceiptStore.Find([entry.Key]);
        var known = await ReadKnownAsync(transaction, locks, receipts, [entry], cancellation);
        if (known.TryGetValue(entry.Key, out var earlier) && !earlier.IsOpenTo(entry))
            Repeat(transaction, entry, earlier);
        else
        {
            Place(entry, earlier);
            entry.Fail(reason, transaction.Now);
            if (
                entry.Command is not null
                && FailedSave.HoldOf(entry.Key, entry.Name, entry.Content, transaction.Now) is { } hold
            )
                transaction.Write(ObjectHolds.KeepSql, hold);
        }

        await WriteReceiptsAsync(transaction, [entry], cancellation);
        await database.CommitAsync(cancellation);
        metrics.Committed([entry], clock.GetElapsedTime(startedAt));
    }

    /// <summary>Locks the projects in the order of their ids, so that two batches never wait for each other in a circle.</summary>
    private static async Task<Dictionary<CommandKey, Known>> LockAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> batch,
        CancellationToken cancellation
    )
    {
        var projects = batch.Where(x => x.Refusal is null).Select(x => x.ProjectId).Distinct().ToArray();
        (string, object[]) locks = (LockSql, [projects]);
        (string, object[]) receipts = ReceiptStore.Find([.. batch.Select(x => x.Key).Distinct()]);

        var known = await ReadKnownAsync(transaction, locks, receipts, batch, cancellation);
        var missing = projects.Where(x => !transaction.IsLocked(x)).ToArray();
        if (missing.Length == 0)
            return known;

        // A new project: whoever inserts the row first has its lock; the other one waits for that commit and reads on.
        transaction.Write(CreateSql, missing, transaction.Now);
        return await ReadKnownAsync(transaction, locks, receipts, batch, cancellation);
    }

    private static async Task<Dictionary<CommandKey, Known>> ReadKnownAsync(
        LaneTransaction transaction,
        (string, object[]) locks,
        (string, object[]) receipts,
        IReadOnlyList<LaneEntry> batch,
        CancellationToken cancellation
    )
    {
        await using var reader = await transaction.ReadAsync([locks, receipts], cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var deletedAt = reader.IsDBNull(2) ? (DateTimeOffset?)null : reader.GetFieldValue<DateTimeOffset>(2);
            transaction.Locked(reader.GetGuid(0), reader.GetInt64(1), deletedAt);
        }

        var known = new Dictionary<CommandKey, Known>();
        await reader.NextResultAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var found = ReceiptStore.Read(reader);
            var receipt = new LaneReceipt(
                batch.First(x => x.Key == found.Key),
                found.Outcome,
                found.Reason,
                found.ProjectVersion,
                found.At,
                found.Announcements
            );
            known[found.Key] = new Known(found.RequestHash, receipt, found.Replays, found.Place);
        }

        return known;
    }

    /// <summary>Decides what needs no handler, and yields the rest as runs of one command type, in the lane's order.</summary>
    private static IEnumerable<IReadOnlyList<LaneEntry>> Runs(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> batch,
        Dictionary<CommandKey, Known> known
    )
    {
        var run = new List<LaneEntry>();
        var running = new HashSet<CommandKey>();
        foreach (var entry in batch)
        {
            var starts = run.Count > 0 && run[0].Command!.GetType() != entry.Command?.GetType();
            if (starts || running.Contains(entry.Key))
            {
                yield return run;
                run = [];
                running.Clear();
            }

            if (known.TryGetValue(entry.Key, out var earlier) && !earlier.IsOpenTo(entry))
                Repeat(transaction, entry, earlier);
            else if (entry.Refusal is { } refusal)
                Refuse(transaction, entry, refusal, known);
            else
            {
                Place(entry, earlier);
                run.Add(entry);
                running.Add(entry.Key);
            }
        }

        if (run.Count > 0)
            yield return run;
    }

    /// <summary>A replayed command has the place of its failure; one that comes for the first time has none yet.</summary>
    private static void Place(LaneEntry entry, Known? failed)
    {
        if (failed?.Place is { } place)
            entry.Reopen(place);
        else if (entry.Replays > 0)
            entry.Reopen(Oldest);
    }

    private static void Refuse(
        LaneTransaction transaction,
        LaneEntry entry,
        string refusal,
        Dictionary<CommandKey, Known> known
    )
    {
        entry.Reject(refusal, transaction.Now);
        known[entry.Key] = new Known(entry.RequestHash, entry.Decision!, entry.Replays, entry.Place);
    }

    private static void Repeat(LaneTransaction transaction, LaneEntry entry, Known earlier)
    {
        if (entry.RequestHash.AsSpan().SequenceEqual(earlier.RequestHash))
        {
            entry.Recall(earlier.Receipt);
            return;
        }

        entry.Reject(ReceiptStore.ConflictReason, transaction.Now);
        if (entry.Command is not null)
        {
            var (sql, values) = ReceiptStore.KeepConflict(
                entry.Decision!.ToReceipt(),
                Encoding.UTF8.GetString(entry.Content)
            );
            transaction.Write(sql, values);
        }

        entry.Recall(entry.Decision!); // The receipt under this id is the first one's; this body is kept beside it.
    }

    /// <exception cref="ReceiptContentionException">Somebody else has written one of the receipts meanwhile.</exception>
    private static async Task WriteReceiptsAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> batch,
        CancellationToken cancellation
    )
    {
        var changed = transaction.Changed.ToArray();
        if (changed.Length > 0)
        {
            transaction.Write(
                WriteVersionsSql,
                changed.Select(x => x.ProjectId).ToArray(),
                changed.Select(x => x.Version).ToArray(),
                transaction.Now
            );
        }

        var receipts = batch.Select(x => x.Decision!).Where(x => x.IsNew).ToArray();
        if (receipts.Length == 0)
        {
            await transaction.FlushAsync(cancellation);
            return;
        }

        var (sql, values) = ReceiptStore.Write([.. receipts.Select(x => x.ToReceipt())]);
        var write = transaction.Write(sql, values);
        await transaction.FlushAsync(cancellation);
        // Unreadable commands lock no project, and another queue's command may have the same id.
        if (write.RecordsAffected != receipts.Length)
            throw new ReceiptContentionException(receipts.Length - write.RecordsAffected);
    }

    private sealed record Known(byte[] RequestHash, LaneReceipt Receipt, int Replays, long? Place)
    {
        /// <summary>A failure is decided anew once a person has replayed its message; nothing else ever is.</summary>
        public bool IsOpenTo(LaneEntry entry) =>
            Receipt.Outcome == Outcomes.Failed
            && entry.Replays > Replays
            && entry.RequestHash.AsSpan().SequenceEqual(RequestHash);
    }
}

/// <summary>
/// Another transaction has written a receipt under the same command id in the same project since this one looked for
/// it. Trying again finds that receipt.
/// </summary>
internal sealed class ReceiptContentionException(int count)
    : Exception($"{count} receipts were written by another transaction meanwhile."),
        IContention;
