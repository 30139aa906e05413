using MassTransit;
using MassTransit.Saga;
using Microsoft.EntityFrameworkCore;

namespace Pipeline.Workers.Persistence.Sagas;

/// <summary>Opens one database transaction for each message a saga handles, and commits it when the handling succeeds.</summary>
/// <remarks>
/// What a transition wants sent goes to the outbox in the same transaction; a transition finds it, and its own tables,
/// through the <see cref="PipelineDbContext"/> in the message's payload; <see cref="AfterCommit"/> is beside it. Each delivery, and each retry of one, has a
/// context of its own, so that nothing of a failed attempt is left in it.
/// </remarks>
internal sealed class SagaTransactionFactory<TSaga>(
    IDbContextFactory<PipelineDbContext> contexts,
    ISagaConsumeContextFactory<PipelineDbContext, TSaga> sagas
) : ISagaRepositoryContextFactory<TSaga>
    where TSaga : class, ISaga
{
    public async Task Send<T>(ConsumeContext<T> context, IPipe<SagaRepositoryContext<TSaga, T>> next)
        where T : class
    {
        await using var db = await contexts.CreateDbContextAsync(context.CancellationToken);
        await using var transaction = await db.BeginOnlyAsync(context.CancellationToken);
        var afterCommit = new AfterCommit();
        context.AddOrUpdatePayload(() => db, _ => db);
        context.AddOrUpdatePayload(() => afterCommit, _ => afterCommit);
        await next.Send(new SagaTransaction<TSaga, T>(db, context, sagas));
        await transaction.CommitAsync(context.CancellationToken);
        afterCommit.Run();
    }

    public Task SendQuery<T>(
        ConsumeContext<T> context,
        ISagaQuery<TSaga> query,
        IPipe<SagaRepositoryQueryContext<TSaga, T>> next
    )
        where T : class =>
        throw new NotSupportedException(
            "Every event here correlates by id; a query would lock an unknown number of rows."
        );

    public void Probe(ProbeContext context) => context.Add("persistence", "postgres");
}
