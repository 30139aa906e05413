using MassTransit;
using MassTransit.Context;
using MassTransit.Saga;
using Microsoft.EntityFrameworkCore;

namespace Pipeline.Workers.Persistence.Sagas;

/// <summary>The saga row as one message sees it: loaded under a lock, written back before the commit.</summary>
internal sealed class SagaTransaction<TSaga, TMessage>(
    PipelineDbContext db,
    ConsumeContext<TMessage> message,
    ISagaConsumeContextFactory<PipelineDbContext, TSaga> sagas
) : ConsumeContextScope<TMessage>(message), SagaRepositoryContext<TSaga, TMessage>
    where TSaga : class, ISaga
    where TMessage : class
{
    // Longer than a transition takes. Past it the message is repeated after a pause, and its consumer is free
    // meanwhile.
    private static readonly TimeSpan LockLimit = TimeSpan.FromSeconds(5);

    private readonly ConsumeContext<TMessage> _message = message;

    /// <summary>
    /// Waits for every earlier message of this saga, then loads it. The lock is on the id and not on the row, so it
    /// also serialises the messages that would create the row: none of them can meet a duplicate key.
    /// </summary>
    public async Task<SagaConsumeContext<TSaga, TMessage>> Load(Guid correlationId)
    {
        await AdvisoryLock.Of(LockUse.Saga, correlationId).TakeAsync(db.Database, LockLimit, CancellationToken);
        var saga = await db.Set<TSaga>().SingleOrDefaultAsync(x => x.CorrelationId == correlationId, CancellationToken);
        return saga is null ? null! : await Track(saga, SagaConsumeContextMode.Load);
    }

    public Task<SagaConsumeContext<TSaga, TMessage>> Add(TSaga instance) => Track(instance, SagaConsumeContextMode.Add);

    public async Task<SagaConsumeContext<TSaga, TMessage>> Insert(TSaga instance)
    {
        db.Add(instance);
        await db.SaveChangesAsync(CancellationToken);
        return await Track(instance, SagaConsumeContextMode.Insert);
    }

    public Task Save(SagaConsumeContext<TSaga> context)
    {
        db.Add(context.Saga);
        return db.SaveChangesAsync(CancellationToken);
    }

    public Task Update(SagaConsumeContext<TSaga> context) => db.SaveChangesAsync(CancellationToken);

    public Task Delete(SagaConsumeContext<TSaga> context)
    {
        db.Remove(context.Saga);
        return db.SaveChangesAsync(CancellationToken);
    }

    public Task Discard(SagaConsumeContext<TSaga> context) => Task.CompletedTask;

    public Task Undo(SagaConsumeContext<TSaga> context) => Task.CompletedTask; // The rollback undoes it.

    public Task<SagaConsumeContext<TSaga, T>> CreateSagaConsumeContext<T>(
        ConsumeContext<T> consumeContext,
        TSaga instance,
        SagaConsumeContextMode mode
    )
        where T : class => sagas.CreateSagaConsumeContext(db, consumeContext, instance, mode);

    private Task<SagaConsumeContext<TSaga, TMessage>> Track(TSaga saga, SagaConsumeContextMode mode) =>
        sagas.CreateSagaConsumeContext(db, _message, saga, mode);
}
