using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Rendering;

/// <summary>
/// Who renders which attempt: rows of <c>pipeline.generation_leases</c>. All times are the database's, so that no two
/// clocks are compared.
/// </summary>
internal sealed partial class RenderLeases(
    NpgsqlDataSource source,
    WorkerIdentity worker,
    RenderingOptions options,
    RenderMetrics metrics,
    TimeProvider clock,
    ILogger<RenderLeases> logger
)
{
    // An attempt is one time that a provider is asked. So a lapsed lease is not taken over here: the sweep finds it,
    // and the saga begins the next attempt.
    private const string ClaimSql = """
        insert into pipeline.generation_leases as l
            (generation_id, attempt, epoch, worker_id, lease_until, lease_length)
        values ($1, $2, nextval('pipeline.generation_lease_epochs'), $3, clock_timestamp() + $4, $4)
        on conflict (generation_id) do update
            set attempt = excluded.attempt, epoch = excluded.epoch, worker_id = excluded.worker_id,
                lease_until = excluded.lease_until, lease_length = excluded.lease_length, swept_at = null
            where l.attempt < excluded.attempt
        returning epoch
        """;

    // Asked after the claim: the row's lock has made it wait for whoever was just recording this attempt's end.
    private const string EndedSql = """
        select outcome, reason, object_key from pipeline.generation_attempts where generation_id = $1 and attempt = $2
        """;

    private const string GateSql = """
        select closed_until, reason from pipeline.provider_gates
        where provider in ($1, $2) and closed_until > clock_timestamp() order by closed_until desc limit 1
        """;

    private const string RenewSql = """
        update pipeline.generation_leases set lease_until = clock_timestamp() + $4
        where generation_id = $1 and attempt = $2 and epoch = $3
        """;

    private const string ReleaseSql = """
        delete from pipeline.generation_leases where generation_id = $1 and attempt = $2 and epoch = $3
        """;

    /// <summary>
    /// Claims an attempt, unless another worker has it or a later one has begun. Where it has ended, the saga is told
    /// again how: its message may have been lost in the dead letters. Where the model's gate is closed, the claim is
    /// given back and the saga told until when.
    /// </summary>
    /// <returns>Null where there is nothing to render now.</returns>
    public async Task<RenderClaim?> ClaimAsync(RenderImage request, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var (id, attempt) = (request.GenerationId, request.Attempt);
        if (
            await AskAsync(connection, transaction, ClaimSql, cancellation, id, attempt, worker.Id, options.LeaseLength)
            is not long epoch
        )
        {
            NotOurs(id, attempt);
            return null;
        }

        var claim = new RenderClaim(id, attempt, epoch, request.Model, clock.GetUtcNow());
        if (await ReadEndAsync(connection, transaction, claim, cancellation) is { } end)
        {
            // Asked again: whoever asks has not heard of the end. The saga drops what it knows.
            await AskAsync(connection, transaction, ReleaseSql, cancellation, id, attempt, epoch);
            await Outbox.AppendAsync(connection, transaction, end, cancellation);
            await transaction.CommitAsync(cancellation);
            NotOurs(id, attempt);
            return null;
        }

        var gate = await ReadGateAsync(connection, transaction, request.Model, cancellation);
        if (gate is { } closed)
        {
            await AskAsync(connection, transaction, ReleaseSql, cancellation, id, attempt, epoch);
            var told = RenderMessages.Postponed(claim, closed.Until, closed.Reason);
            await Outbox.AppendAsync(connection, transaction, [told], cancellation);
            GateClosed(id, attempt, request.Model, closed.Until);
        }

        await transaction.CommitAsync(cancellation);
        if (gate is null)
            return claim;
        metrics.Ended(request.Model, RenderMetrics.Postponed);
        return null;
    }

    /// <returns>False where the lease is lost: whatever this claim renders is of no use.</returns>
    public async Task<bool> RenewAsync(RenderClaim claim, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(RenewSql);
        Add(command, claim.GenerationId, claim.Attempt, claim.Epoch, options.LeaseLength);
        return await command.ExecuteNonQueryAsync(cancellation) == 1;
    }

    /// <summary>Gives the claim back without a word, so that the same message can be claimed again at once.</summary>
    public async Task ReleaseAsync(RenderClaim claim, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(ReleaseSql);
        Add(command, claim.GenerationId, claim.Attempt, claim.Epoch);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Ends the claim in the open transaction.</summary>
    /// <returns>False where it is lost, and nothing may be recorded.</returns>
    public static async Task<bool> EndAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        RenderClaim claim,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(ReleaseSql, connection, transaction);
        Add(command, claim.GenerationId, claim.Attempt, claim.Epoch);
        return await command.ExecuteNonQueryAsync(cancellation) == 1;
    }

    /// <returns>Null where the attempt has not ended; nothing to tell where the saga itself has closed it.</returns>
    private static async Task<WireMessage[]?> ReadEndAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        RenderClaim claim,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(EndedSql, connection, transaction);
        Add(command, claim.GenerationId, claim.Attempt);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        if (!await row.ReadAsync(cancellation))
            return null;
        return row.GetString(0) switch
        {
            RenderMetrics.Succeeded => [RenderMessages.Succeeded(claim, row.GetString(2))],
            RenderFailureKinds.Transient
            or RenderFailureKinds.Permanent
            or RenderFailureKinds.Refused
            or RenderFailureKinds.Moderation =>
            [
                RenderMessages.Failed(claim, new RenderFailure(row.GetString(0), row.GetString(1))),
            ],
            _ => [],
        };
    }

    private static async Task<(DateTimeOffset Until, string Reason)?> ReadGateAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        string model,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(GateSql, connection, transaction);
        Add(command, model, ProviderGates.Store);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation) ? (row.GetFieldValue<DateTimeOffset>(0), row.GetString(1)) : null;
    }

    private static async Task<object?> AskAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        string sql,
        CancellationToken cancellation,
        params object[] values
    )
    {
        await using var command = new NpgsqlCommand(sql, connection, transaction);
        Add(command, values);
        return await command.ExecuteScalarAsync(cancellation);
    }

    private static void Add(NpgsqlCommand command, params object[] values)
    {
        foreach (var value in values)
            command.Parameters.AddWithValue(value);
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Attempt {Attempt} of generation {GenerationId} is not begun: another has it, or it has ended"
    )]
    private partial void NotOurs(Guid generationId, int attempt);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Attempt {Attempt} of generation {GenerationId} waits: the gate of model {Model} is closed until {Until}"
    )]
    private partial void GateClosed(Guid generationId, int attempt, string model, DateTimeOffset until);
}
