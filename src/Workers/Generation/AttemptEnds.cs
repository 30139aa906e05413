using Microsoft.EntityFrameworkCore;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>
/// How the saga ends an attempt that it waits for no more. It writes the row that the attempt's worker writes as well,
/// and the first one stands: what a worker has recorded is never overruled.
/// </summary>
/// <remarks>
/// The lease first and the row after it, as the worker does: in the other order the two could wait for each other.
/// </remarks>
internal static class AttemptEnds
{
    /// <summary>Ends an attempt whose worker has not renewed its lease in time.</summary>
    /// <returns>False where the lease was renewed, given back, or has ended with its attempt: nothing is changed.</returns>
    public static async Task<bool> LoseAsync(
        PipelineDbContext db,
        Guid generationId,
        int attempt,
        string reason,
        CancellationToken cancellation
    )
    {
        var lost = await db.Database.ExecuteSqlAsync(
            $"""
            delete from pipeline.generation_leases
            where generation_id = {generationId} and attempt = {attempt} and lease_until <= now()
            """,
            cancellation
        );
        if (lost == 0)
            return false;
        await WriteAsync(db, generationId, attempt, "lost", reason, cancellation);
        return true;
    }

    /// <summary>
    /// Ends an attempt, whoever has it: its worker loses the lease and stops, and whoever would begin it finds that it
    /// has ended. One that ended by itself keeps its end.
    /// </summary>
    /// <returns>False where its image is recorded, and the message that says so is on its way.</returns>
    public static async Task<bool> CloseAsync(
        PipelineDbContext db,
        Guid generationId,
        int attempt,
        string reason,
        CancellationToken cancellation
    )
    {
        // Waits for a claim that is being committed, which the deletion would not see; later ones wait for this.
        await db.Database.ExecuteSqlAsync(
            $"""
            insert into pipeline.generation_leases
                (generation_id, attempt, epoch, worker_id, lease_until, lease_length)
            values ({generationId}, {attempt}, 0, {Guid.Empty}, now(), '0') on conflict (generation_id) do nothing
            """,
            cancellation
        );
        await db.Database.ExecuteSqlAsync(
            $"delete from pipeline.generation_leases where generation_id = {generationId}",
            cancellation
        );
        await WriteAsync(db, generationId, attempt, "cancelled", reason, cancellation);
        return !await IsRecordedAsync(db, generationId, attempt, cancellation);
    }

    /// <summary>Whether the attempt's image is recorded.</summary>
    public static async Task<bool> IsRecordedAsync(
        PipelineDbContext db,
        Guid generationId,
        int attempt,
        CancellationToken cancellation
    ) =>
        await db
            .Database.SqlQuery<bool>(
                $"""
                select exists (
                    select from pipeline.generation_attempts
                    where generation_id = {generationId} and attempt = {attempt} and outcome = 'succeeded') as "Value"
                """
            )
            .SingleAsync(cancellation);

    private static Task<int> WriteAsync(
        PipelineDbContext db,
        Guid generationId,
        int attempt,
        string outcome,
        string reason,
        CancellationToken cancellation
    ) =>
        db.Database.ExecuteSqlAsync(
            $"""
            insert into pipeline.generation_attempts (generation_id, attempt, outcome, reason, ended_at)
            values ({generationId}, {attempt}, {outcome}, {reason}, clock_timestamp()) on conflict do nothing
            """,
            cancellation
        );
}
