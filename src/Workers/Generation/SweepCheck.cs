using MassTransit;
using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>
/// Asks in the saga's transaction for what a sweep has found, by the database's clock: a message that comes early, or
/// once more, or that no sweep has sent, has no effect.
/// </summary>
internal sealed class SweepCheck(GenerationOptions options)
{
    private const string IsDueSql = $"""
        select exists (select from pipeline.generation_requests g where g.correlation_id = $1 and ({Sweep.IsDue} or {Sweep.IsStale}))
        """;

    private const string IsLateSql = $"""
        select exists (select from pipeline.generation_requests g where g.correlation_id = $1 and {Sweep.IsLate})
        """;

    private const string IsSettledSql = $"""
        select exists (
            {Sweep.Ends} and ({Sweep.IsOpen} or {Sweep.IsReplayed})
            and t.generation_id = $1 and t.project_id = $2 and t.command_id = $3
            and coalesce(s.outcome, i.outcome) = $4 and coalesce(s.reason, i.reason) is not distinct from $5)
        """;

    /// <summary>Whether the attempt may begin, or is stale.</summary>
    public Task<bool> IsDueAsync(BehaviorContext<GenerationSaga, RenderDue> context) =>
        AskAsync(context, IsDueSql, options.StaleAfter);

    /// <summary>Whether the deadline has passed.</summary>
    public static Task<bool> IsLateAsync(BehaviorContext<GenerationSaga, GenerationDeadlinePassed> context) =>
        AskAsync(context, IsLateSql);

    /// <summary>Whether this is the end of the request's save in the lane; that of an earlier save is not.</summary>
    public static Task<bool> IsSettledAsync(BehaviorContext<GenerationSaga, TargetSettled> context)
    {
        var settled = context.Message;
        return AskAsync(
            context,
            IsSettledSql,
            settled.ProjectId,
            settled.CommandId,
            settled.Outcome,
            (object?)settled.Reason ?? DBNull.Value
        );
    }

    private static async Task<bool> AskAsync(
        BehaviorContext<GenerationSaga> context,
        string sql,
        params object[] parameters
    )
    {
        var db = context.GetPayload<PipelineDbContext>();
        await using var command = new NpgsqlCommand(sql, db.Connection(), db.Transaction());
        command.Parameters.AddWithValue(context.Saga.CorrelationId);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        return await command.ExecuteScalarAsync(context.CancellationToken) is true;
    }
}
