using MassTransit;
using Microsoft.EntityFrameworkCore;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>
/// How a generation ends when the last of its images is purged: its prompt goes from the row in the saga's
/// transaction, then its originals go from the store. A request that comes meanwhile waits until they are gone, and
/// renders anew.
/// </summary>
internal sealed class GenerationRemoval(TargetLedger targets, GenerationDesk desk, TimeProvider clock)
{
    // A removal that nothing has been heard of is sent again, and so is one that has failed: both are safe to repeat.
    private static readonly TimeSpan RepeatAfter = TimeSpan.FromMinutes(1);

    /// <summary>Releases the requests that have ended and whose image is purged.</summary>
    public Task ReleaseAsync(BehaviorContext<GenerationSaga, GenerationReleased> context) =>
        ReleasedTargets.ReleaseAsync(
            Db(context),
            context.Saga.CorrelationId,
            clock.GetUtcNow(),
            context.CancellationToken
        );

    /// <summary>The same, and ends those that are open.</summary>
    public async Task WithdrawAsync(BehaviorContext<GenerationSaga, GenerationReleased> context)
    {
        await targets.WithdrawPurgedAsync(Db(context), context.Saga, context.CancellationToken);
        await ReleaseAsync(context);
    }

    /// <summary>Stops whoever renders for nobody.</summary>
    public Task StopAsync(BehaviorContext<GenerationSaga, GenerationReleased> context) =>
        desk.EndAsync(context, Outcomes.Superseded, ReleasedTargets.Reason);

    public static async Task<bool> IsAwaitedByNobodyAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class =>
        !await TargetLedger.AnyOpenAsync(
            Db(context),
            context.Saga.CorrelationId,
            asker: null,
            context.CancellationToken
        );

    public static async Task<bool> IsAwaitedAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class => !await IsAwaitedByNobodyAsync(context);

    public static async Task<bool> IsNeededByNobodyAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class =>
        !await ReleasedTargets.AnyKeptAsync(Db(context), context.Saga.CorrelationId, context.CancellationToken);

    /// <summary>Forgets the prompt, and has the originals deleted.</summary>
    public async Task BeginAsync(BehaviorContext<GenerationSaga, GenerationReleased> context)
    {
        Forget(context);
        var id = context.Saga.CorrelationId;
        // Kept, so that an attempt whose message is delivered once more is known to have ended; without what they say.
        await Db(context)
            .Database.ExecuteSqlAsync(
                $"""
                update pipeline.generation_attempts set outcome = 'removed', reason = null, object_key = null
                where generation_id = {id}
                """,
                context.CancellationToken
            );
        await SendAsync(context);
    }

    /// <summary>Forgets what was asked for. The hash stays: whoever asks for the same again has the same generation.</summary>
    public void Forget<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class
    {
        var saga = context.Saga;
        (saga.Prompt, saga.Options, saga.Seed, saga.ObjectKey) = ("", null, null, null);
        (saga.FailureKind, saga.FailureReason, saga.DeadlineAt) = (null, null, null);
        saga.UpdatedAt = clock.GetUtcNow();
    }

    /// <summary>Hands the deletion to the workers; again where nothing was heard of it.</summary>
    public Task SendAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class
    {
        context.Saga.DueAt = clock.GetUtcNow() + RepeatAfter;
        context.Saga.UpdatedAt = clock.GetUtcNow();
        var remove = new RemoveOriginals(context.Saga.CorrelationId, context.Saga.Attempt);
        return Db(context).AppendAsync([Message(remove)], context.CancellationToken);
    }

    /// <summary>Keeps why it failed; it is tried again.</summary>
    public void RememberFailure(BehaviorContext<GenerationSaga, RemovalEnded> context)
    {
        context.Saga.FailureReason = context.Message.Reason;
        context.Saga.DueAt = clock.GetUtcNow() + RepeatAfter;
        context.Saga.UpdatedAt = clock.GetUtcNow();
    }

    public void End(BehaviorContext<GenerationSaga, RemovalEnded> context)
    {
        context.Saga.DueAt = null;
        context.Saga.FailureReason = null;
        context.Saga.UpdatedAt = clock.GetUtcNow();
    }

    /// <summary>The saga is asked to look at its requests.</summary>
    public static WireMessage Released(Guid generationId) => Message(new GenerationReleased(generationId));

    private static WireMessage Message<T>(T message) =>
        new(WireNames.ExchangeOf<T>(), RoutingKey: "", Guid.NewGuid(), WireJson.Write(message), Mandatory: true);

    private static PipelineDbContext Db(PipeContext context) => context.GetPayload<PipelineDbContext>();
}
