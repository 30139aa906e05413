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

    private const string IsLapsedSql = $"select exists ({Sweep.LapsedLeases} and l.generation_id = $1)";

    private const string IsSettledSql = $"""
        select exists (
            {Sweep.EndedTargets}
            and t.generation_id = $1 and t.project_id = $2 and t.command_id = $3 and coalesce(s.outcome, i.outcome) = $4)
        """;

    /// <summary>Whether the attempt may begin, or is stale.</summary>
    public Task<bool> IsDueAsync(BehaviorContext<GenerationSaga, RenderDue> context) =>
        AskAsync(context, IsDueSql, options.StaleAfter);

    /// <summary>Whether the deadline has passed.</summary>
    public static Task<bool> IsLateAsync(BehaviorContext<GenerationSaga, GenerationDeadlinePassed> context) =>
        AskAsync(context, IsLateSql);

    /// <summary>Whether the worker of the current attempt has not renewed its lease.</summary>
    public static Task<bool> IsLapsedAsync(BehaviorContext<GenerationSaga, RenderLeaseExpired> context) =>
        AskAsync(context, IsLapsedSql);

    /// <summary>Whether the request has this end in the lane.</summary>
    public static Task<bool> IsSettledAsync(BehaviorContext<GenerationSaga, TargetSettled> context) =>
        AskAsync(context, IsSettledSql, context.Message.ProjectId, context.Message.CommandId, context.Message.Outcome);

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
