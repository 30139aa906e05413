using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Rendering;

/// <summary>
/// Ends of attempts: the lease, the attempt's row, the object's row and the message to the saga go in one transaction,
/// and only while the claim still holds.
/// </summary>
internal sealed class RenderLedger(
    NpgsqlDataSource source,
    WorkerIdentity worker,
    RenderMetrics metrics,
    TimeProvider clock
)
{
    private const string AttemptSql = """
        insert into pipeline.generation_attempts
            (generation_id, attempt, outcome, reason, object_key, worker_id, started_at, ended_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (generation_id, attempt) do nothing
        """;

    private const string RemovedSql = """
        select exists (
            select from pipeline.generation_attempts where generation_id = $1 and attempt = $2 and outcome = 'removed')
        """;

    private const string UntilSql = """
        select greatest(
            clock_timestamp() + $2,
            (select closed_until from pipeline.provider_gates where provider = $1))
        """;

    /// <returns>False where the claim was lost; then nothing is written.</returns>
    public Task<bool> SucceedAsync(RenderClaim claim, StoredObject stored) =>
        EndAsync(
            claim,
            RenderMessages.Succeeded(claim, stored.Key),
            RenderMetrics.Succeeded,
            async (connection, transaction) =>
            {
                await ObjectCatalog.RecordAsync(
                    connection,
                    transaction,
                    stored,
                    clock.GetUtcNow(),
                    CancellationToken.None
                );
                return await RecordAsync(connection, transaction, claim, RenderMetrics.Succeeded, null, stored.Key);
            }
        );

    /// <inheritdoc cref="SucceedAsync"/>
    public Task<bool> FailAsync(RenderClaim claim, RenderFailure failure) =>
        EndAsync(
            claim,
            RenderMessages.Failed(claim, failure),
            failure.Kind,
            (connection, transaction) =>
                RecordAsync(connection, transaction, claim, failure.Kind, failure.Reason, objectKey: null)
        );

    /// <summary>Gives the attempt back unspent, until the pause is over and the model's gate is open.</summary>
    /// <inheritdoc cref="SucceedAsync"/>
    public async Task<bool> PostponeAsync(RenderClaim claim, TimeSpan pause, string reason)
    {
        await using var command = source.CreateCommand(UntilSql);
        command.Parameters.AddWithValue(claim.Model);
        command.Parameters.AddWithValue(pause);
        await using var row = await command.ExecuteReaderAsync();
        await row.ReadAsync();
        var until = await row.GetFieldValueAsync<DateTimeOffset>(0);
        return await EndAsync(
            claim,
            RenderMessages.Postponed(claim, until, reason),
            RenderMetrics.Postponed,
            (_, _) => Task.FromResult(true)
        );
    }

    /// <summary>
    /// The claim was lost while it rendered: nothing is recorded. Where the generation was removed meanwhile, what this
    /// worker may have stored behind the removal is removed as well.
    /// </summary>
    /// <returns>False.</returns>
    public async Task<bool> DiscardAsync(RenderClaim claim)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand(RemovedSql, connection, transaction);
        command.Parameters.AddWithValue(claim.GenerationId);
        command.Parameters.AddWithValue(claim.Attempt);
        if (await command.ExecuteScalarAsync() is true)
        {
            await Outbox.AppendAsync(connection, transaction, [RenderMessages.Remove(claim)], CancellationToken.None);
            await transaction.CommitAsync();
        }

        metrics.Ended(claim.Model, RenderMetrics.Late);
        return false;
    }

    // Not cancelled when the process stops: the picture is paid for, and this is a few milliseconds.
    private async Task<bool> EndAsync(
        RenderClaim claim,
        WireMessage message,
        string result,
        Func<NpgsqlConnection, NpgsqlTransaction, Task<bool>> record
    )
    {
        await using (var connection = await source.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            if (
                await RenderLeases.EndAsync(connection, transaction, claim, CancellationToken.None)
                && await record(connection, transaction)
            )
            {
                await Outbox.AppendAsync(connection, transaction, [message], CancellationToken.None);
                await transaction.CommitAsync();
                metrics.Ended(claim.Model, result);
                return true;
            }
        }

        return await DiscardAsync(claim);
    }

    private async Task<bool> RecordAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        RenderClaim claim,
        string outcome,
        string? reason,
        string? objectKey
    )
    {
        await using var command = new NpgsqlCommand(AttemptSql, connection, transaction);
        command.Parameters.AddWithValue(claim.GenerationId);
        command.Parameters.AddWithValue(claim.Attempt);
        command.Parameters.AddWithValue(outcome);
        command.Parameters.AddWithValue((object?)reason ?? DBNull.Value);
        command.Parameters.AddWithValue((object?)objectKey ?? DBNull.Value);
        command.Parameters.AddWithValue(worker.Id);
        command.Parameters.AddWithValue(claim.StartedAt);
        command.Parameters.AddWithValue(clock.GetUtcNow());
        return await command.ExecuteNonQueryAsync() == 1;
    }
}
