using Npgsql;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// One database transaction for a batch of a lane. It holds the row locks of the batch's projects, counts their
/// versions, and collects writes so that they go to the server in one round trip.
/// </summary>
internal sealed class LaneTransaction(NpgsqlConnection connection, NpgsqlTransaction transaction, DateTimeOffset now)
{
    private readonly Dictionary<Guid, long> _versions = [];
    private readonly Dictionary<Guid, DateTimeOffset?> _tombstones = [];
    private readonly HashSet<Guid> _changed = [];
    private readonly List<NpgsqlBatchCommand> _writes = [];
    private readonly List<LaneEntry> _decided = [];

    /// <summary>The time of the batch, UTC, to the microsecond that PostgreSQL keeps.</summary>
    public DateTimeOffset Now { get; } = now;

    /// <summary>Projects that were written to, with their new versions.</summary>
    public IEnumerable<(Guid ProjectId, long Version)> Changed => _changed.Select(x => (x, _versions[x]));

    /// <summary>What handlers have decided so far; their receipts are not written yet.</summary>
    public IReadOnlyList<LaneEntry> DecidedBefore => _decided;

    /// <summary>Takes note of a run that its handler has decided.</summary>
    public void Decided(IEnumerable<LaneEntry> run) => _decided.AddRange(run);

    /// <summary>Takes note of a project whose row is locked.</summary>
    public void Locked(Guid projectId, long version, DateTimeOffset? deletedAt)
    {
        _versions[projectId] = version;
        _tombstones[projectId] = deletedAt;
    }

    public bool IsLocked(Guid projectId) => _versions.ContainsKey(projectId);

    /// <summary>The project's version now, with the writes decided so far.</summary>
    public long Version(Guid projectId) => _versions[projectId];

    /// <summary>When the project was deleted, with what is decided so far; null while it lives.</summary>
    public DateTimeOffset? DeletedAt(Guid projectId) => _tombstones[projectId];

    /// <summary>Takes note of a project that is deleted or restored in this transaction.</summary>
    public void SetDeletedAt(Guid projectId, DateTimeOffset? deletedAt) => _tombstones[projectId] = deletedAt;

    /// <summary>Counts one applied write.</summary>
    /// <returns>The version that the write makes.</returns>
    public long NextVersion(Guid projectId)
    {
        _changed.Add(projectId);
        return ++_versions[projectId];
    }

    /// <summary>Queues a statement; it runs before the next read, or with the next flush.</summary>
    /// <returns>The statement, which knows after it ran how many rows it has changed.</returns>
    public NpgsqlBatchCommand Write(string sql, params ReadOnlySpan<object> parameters)
    {
        var statement = Statement(sql, parameters);
        _writes.Add(statement);
        return statement;
    }

    /// <summary>Runs what was queued, then the statements given here, in one round trip.</summary>
    /// <returns>A reader over the given statements' results, in order; the caller disposes it.</returns>
    public async Task<NpgsqlDataReader> ReadAsync(
        IReadOnlyList<(string Sql, object[] Parameters)> statements,
        CancellationToken cancellation
    )
    {
        await FlushAsync(cancellation);
        await using var batch = new NpgsqlBatch(connection, transaction);
        foreach (var (sql, parameters) in statements)
            batch.BatchCommands.Add(Statement(sql, parameters));
        return await batch.ExecuteReaderAsync(cancellation);
    }

    /// <summary>Sends the queued statements.</summary>
    public async Task FlushAsync(CancellationToken cancellation)
    {
        if (_writes.Count == 0)
            return;

        await using var batch = new NpgsqlBatch(connection, transaction);
        foreach (var write in _writes)
            batch.BatchCommands.Add(write);
        _writes.Clear();
        await batch.ExecuteNonQueryAsync(cancellation);
    }

    private static NpgsqlBatchCommand Statement(string sql, ReadOnlySpan<object> parameters)
    {
        var statement = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
        {
            statement.Parameters.Add(parameter as NpgsqlParameter ?? new NpgsqlParameter { Value = parameter });
        }

        return statement;
    }
}
