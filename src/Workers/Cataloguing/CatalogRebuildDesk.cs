using MassTransit;
using Microsoft.EntityFrameworkCore;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Persistence.Sagas;

namespace Pipeline.Workers.Cataloguing;

/// <summary>
/// What the transitions do: every row they touch and every message they send commits with the saga's own row.
/// </summary>
internal sealed partial class CatalogRebuildDesk(
    CataloguingOptions options,
    RebuildRequests requests,
    CatalogMetrics metrics,
    TimeProvider clock,
    ILogger<CatalogRebuildDesk> logger
)
{
    public const string CancelledReason = "The rebuild was cancelled.";

    /// <summary>Begins with one part, the whole key space; its first page decides whether it is worth dividing.</summary>
    public async Task BeginAsync(BehaviorContext<CatalogRebuildSaga, BeginRebuild> context)
    {
        var (saga, db) = (context.Saga, Db(context));
        saga.Bucket = context.Message.Bucket;
        saga.StartedAt = await db
            .Database.SqlQuery<DateTimeOffset>($"""select clock_timestamp() as "Value" """)
            .SingleAsync(context.CancellationToken);
        saga.ExpectedKeys = await db
            .Database.SqlQuery<long>(
                $"""select coalesce(sum(objects), 0)::bigint as "Value" from pipeline.catalog_tallies"""
            )
            .SingleAsync(context.CancellationToken);
        await AddPartAsync(context, part: 0);
        Began(saga.CorrelationId, saga.Bucket, saga.ExpectedKeys);
    }

    /// <summary>Whether every part is listed and, where there is one, the sweep at its end.</summary>
    public static async Task<bool> IsAllDoneAsync<T>(BehaviorContext<CatalogRebuildSaga, T> context)
        where T : class =>
        !await Db(context)
            .Database.SqlQuery<bool>(
                $"""
                select exists (
                    select from pipeline.catalog_rebuild_parts
                    where rebuild_id = {context.Saga.CorrelationId} and not done) as "Value"
                """
            )
            .SingleAsync(context.CancellationToken);

    /// <summary>Every key that was there has been seen: what is left may go.</summary>
    public Task SweepAsync(BehaviorContext<CatalogRebuildSaga, PartListed> context) =>
        AddPartAsync(context, RebuildMessages.SweepPart);

    /// <summary>Gives the bucket's slot free and answers everyone who asked.</summary>
    public async Task EndAsync<T>(BehaviorContext<CatalogRebuildSaga, T> context, string outcome, string? reason)
        where T : class
    {
        var (saga, db, cancellation) = (context.Saga, Db(context), context.CancellationToken);
        var totals = await RebuildParts.CloseAsync(db, saga.CorrelationId, cancellation);
        (saga.Partitions, saga.Pages, saga.Keys, saga.Removed) = totals;
        saga.FailureReason = reason;
        saga.EndedAt = clock.GetDatabaseNow();
        await requests.EndAsync(db, saga, outcome, reason, cancellation);
        context.GetPayload<AfterCommit>().Add(() => metrics.Rebuilt(outcome));
        Ended(saga.CorrelationId, outcome, saga.Keys, saga.Removed, reason);
    }

    private async Task AddPartAsync<T>(BehaviorContext<CatalogRebuildSaga, T> context, int part)
        where T : class
    {
        var (db, id, cancellation) = (Db(context), context.Saga.CorrelationId, context.CancellationToken);
        await db.Database.ExecuteSqlAsync(
            $"""
            insert into pipeline.catalog_rebuild_parts (rebuild_id, number, due_at)
            values ({id}, {part}, now() + {options.StaleAfter})
            """,
            cancellation
        );
        await db.AppendAsync([RebuildMessages.NextOf(id, part, pagesDone: 0)], cancellation);
    }

    private static PipelineDbContext Db<T>(BehaviorContext<CatalogRebuildSaga, T> context)
        where T : class => context.GetPayload<PipelineDbContext>();

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Rebuild {RebuildId} of the bucket '{Bucket}' begins; {Keys} objects are known"
    )]
    private partial void Began(Guid rebuildId, string bucket, long keys);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Rebuild {RebuildId}: {Outcome}, {Keys} objects listed, {Removed} entries removed {Reason}"
    )]
    private partial void Ended(Guid rebuildId, string outcome, long keys, long removed, string? reason);
}
