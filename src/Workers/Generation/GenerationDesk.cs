using System.Text.Json;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>
/// What the transitions do: every row they touch and every message they send commits with the saga's own row.
/// </summary>
internal sealed class GenerationDesk(
    GenerationOptions options,
    Backoff backoff,
    TargetLedger targets,
    TimeProvider clock
)
{
    private const string AllCancelled = "Every request was cancelled.";

    public void Remember(BehaviorContext<GenerationSaga, RequestGeneration> context)
    {
        var request = context.Message.Request;
        var saga = context.Saga;
        saga.RequestHash = context.Message.RequestHash;
        saga.Prompt = request.Prompt;
        saga.Model = request.Model;
        saga.Width = request.Width;
        saga.Height = request.Height;
        saga.Seed = request.Seed;
        saga.Options = request.Options is { } chosen ? JsonSerializer.Serialize(chosen) : null;
        saga.CreatedAt = clock.GetUtcNow();
    }

    /// <summary>Takes one more request in; the same one again changes nothing.</summary>
    public async Task JoinAsync(BehaviorContext<GenerationSaga, RequestGeneration> context)
    {
        var isFirst = !await IsWantedAsync(context);
        // Of the request before it was handed over, and of this message since.
        var replays = context.Message.Replays + DeliveryHeaders.Replays(context.ReceiveContext);
        if (!await targets.JoinAsync(Db(context), context.Message, replays, context.CancellationToken))
            return; // It is here already, or has its answer.

        // The picture is worth rendering for as long as one of them still wants it.
        var wanted = context.Message.Request.Deadline;
        context.Saga.DeadlineAt =
            isFirst ? wanted
            : wanted is null || context.Saga.DeadlineAt is null ? null
            : wanted > context.Saga.DeadlineAt ? wanted
            : context.Saga.DeadlineAt;
        Touch(context);
    }

    /// <summary>Whether anyone waits for the picture: else nothing is rendered or saved.</summary>
    public static Task<bool> IsWantedAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class =>
        TargetLedger.AnyOpenAsync(Db(context), context.Saga.CorrelationId, asker: null, context.CancellationToken);

    /// <summary>Begins with a full number of attempts.</summary>
    public async Task RenderAnewAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class
    {
        context.Saga.AttemptsFrom = context.Saga.Attempt;
        context.Saga.FailureKind = null;
        context.Saga.FailureReason = null;
        await RenderNextAsync(context);
    }

    public async Task RenderNextAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class
    {
        context.Saga.Attempt++;
        await RenderAsync(context);
    }

    /// <summary>Hands the current attempt to the rendering workers.</summary>
    public Task RenderAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class
    {
        var saga = context.Saga;
        saga.DueAt = null;
        Touch(context);
        var render = new RenderImage(
            saga.CorrelationId,
            saga.Attempt,
            saga.Prompt,
            saga.Model,
            saga.Width,
            saga.Height,
            saga.Seed,
            saga.Options is { } chosen ? JsonSerializer.Deserialize<Dictionary<string, string>>(chosen) : null
        );
        return SendAsync(context, render, $"{saga.Attempt}");
    }

    public void RememberFailure(BehaviorContext<GenerationSaga, RenderFailed> context)
    {
        context.Saga.FailureKind = context.Message.Kind;
        context.Saga.FailureReason = context.Message.Reason;
        Touch(context);
    }

    /// <summary>
    /// Ends the attempt whose worker has stopped renewing its lease. Asked of the lease as it is now: where it was
    /// renewed meanwhile, or its worker has recorded an end, that stands.
    /// </summary>
    public async Task<bool> LoseAttemptAsync(BehaviorContext<GenerationSaga, RenderLeaseExpired> context)
    {
        const string Reason = "The worker of the attempt stopped renewing its lease.";
        var saga = context.Saga;
        var (id, attempt) = (saga.CorrelationId, saga.Attempt);
        if (!await AttemptEnds.LoseAsync(Db(context), id, attempt, Reason, context.CancellationToken))
            return false;
        saga.FailureKind = RenderFailureKinds.Transient;
        saga.FailureReason = Reason;
        Touch(context);
        return true;
    }

    public bool MayTryAgain<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class =>
        context.Saga.Attempt - context.Saga.AttemptsFrom < options.AttemptLimit
        && (context.Saga.DeadlineAt is not { } deadline || clock.GetUtcNow() < deadline);

    public void BackOff(BehaviorContext<GenerationSaga, RenderFailed> context)
    {
        var saga = context.Saga;
        var pause = backoff.Pause(saga.Attempt - saga.AttemptsFrom, context.Message.RetryAfter);
        saga.Attempt++;
        saga.DueAt = clock.GetUtcNow() + pause;
    }

    /// <summary>The provider's gate is closed: the same attempt, later.</summary>
    public void Postpone(BehaviorContext<GenerationSaga, RenderPostponed> context)
    {
        context.Saga.FailureReason = context.Message.Reason;
        // Not all at once when the gate opens.
        context.Saga.DueAt = context.Message.Until + backoff.Pause(failures: 1, asked: null);
        Touch(context);
    }

    /// <summary>Has the picture copied and saved for everyone who waits for it.</summary>
    public Task SaveAsync(BehaviorContext<GenerationSaga, RenderSucceeded> context)
    {
        context.Saga.ObjectKey = context.Message.ObjectKey;
        context.Saga.DueAt = null;
        context.Saga.FailureKind = null;
        context.Saga.FailureReason = null;
        return SaveAgainAsync(context);
    }

    public Task SaveAgainAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class => HandOverAsync(context);

    /// <summary>
    /// Has the picture saved for requests that were opened again. Under other ids than before: the failed commands have
    /// their receipts, and would be answered with them.
    /// </summary>
    public Task SaveReopenedAsync(BehaviorContext<GenerationSaga, RetryGeneration> context) => HandOverAsync(context);

    private async Task HandOverAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class
    {
        Touch(context);
        foreach (
            var target in await TargetLedger.ToHandOverAsync(
                Db(context),
                context.Saga.CorrelationId,
                context.CancellationToken
            )
        )
        {
            var importId = Guid.NewGuid();
            target.ImportCommandId = importId;
            var import = new ImportImage(
                importId,
                target.ProjectId,
                target.ImageId,
                target.SceneId,
                target.SceneIndex,
                target.Slot,
                SourceUrl: null,
                context.Saga.ObjectKey
            );
            await Db(context)
                .AppendAsync([WireMessage.Command(import, importId, target.ProjectId)], context.CancellationToken);
        }
    }

    public async Task SettleAsync(BehaviorContext<GenerationSaga, TargetSettled> context)
    {
        Touch(context);
        await targets.SettleAsync(Db(context), context.Saga, context.Message, context.CancellationToken);
        await AskForReleaseAsync(context, context.Message.CommandId);
    }

    /// <summary>
    /// The image of a request that has just ended may have been purged meanwhile: then nobody else tells the saga.
    /// </summary>
    private static async Task AskForReleaseAsync<T>(BehaviorContext<GenerationSaga, T> context, Guid? commandId)
        where T : class
    {
        var (db, id) = (Db(context), context.Saga.CorrelationId);
        if (await ReleasedTargets.AnyToReleaseAsync(db, id, commandId, context.CancellationToken))
            await db.AppendAsync([GenerationRemoval.Released(id)], context.CancellationToken);
    }

    /// <summary>Whether every request has its end.</summary>
    public static async Task<bool> IsUnwantedAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class => !await IsWantedAsync(context);

    public Task AbandonAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class => EndAsync(context, Outcomes.Failed, context.Saga.FailureReason!, context.Saga.FailureKind);

    /// <summary>Ends every open request, each with its receipt and its event.</summary>
    public async Task EndAsync<T>(
        BehaviorContext<GenerationSaga, T> context,
        string outcome,
        string reason,
        string? kind = null
    )
        where T : class
    {
        await StopAsync(context, reason, kind);
        await targets.EndAsync(Db(context), context.Saga, outcome, reason, context.CancellationToken);
        await AskForReleaseAsync(context, commandId: null);
    }

    /// <summary>Nobody waits for the picture any more: rendering stops.</summary>
    public Task StopAsync(BehaviorContext<GenerationSaga, CancelGeneration> context) =>
        StopAsync(context, AllCancelled, kind: null);

    public Task RejectAgainAsync(BehaviorContext<GenerationSaga, RequestGeneration> context) =>
        EndAsync(context, Outcomes.Rejected, context.Saga.FailureReason!, context.Saga.FailureKind);

    /// <summary>Whether the asker waits for the picture.</summary>
    public static Task<bool> HasOpenAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class =>
        TargetLedger.AnyOpenAsync(
            Db(context),
            context.Saga.CorrelationId,
            Asker.Of(context.Message),
            context.CancellationToken
        );

    /// <summary>Whether a request of the asker has failed or was cancelled.</summary>
    public static Task<bool> HasRetryableAsync(BehaviorContext<GenerationSaga, RetryGeneration> context) =>
        TargetLedger.AnyRetryableAsync(
            Db(context),
            context.Saga.CorrelationId,
            Asker.Of(context.Message),
            context.CancellationToken
        );

    public static async Task<bool> HasOpenOrRetryableAsync(BehaviorContext<GenerationSaga, RetryGeneration> context) =>
        await HasOpenAsync(context) || await HasRetryableAsync(context);

    /// <summary>
    /// Whether requests may still be withdrawn: not once the image is recorded, since what is paid for is saved. The
    /// last open ones take the attempt with them.
    /// </summary>
    public static async Task<bool> MayWithdrawAsync(BehaviorContext<GenerationSaga, CancelGeneration> context)
    {
        var (db, saga, cancellation) = (Db(context), context.Saga, context.CancellationToken);
        var asker = Asker.Of(context.Message);
        return await TargetLedger.AnyOpenOfOthersAsync(db, saga.CorrelationId, asker, cancellation)
            ? !await AttemptEnds.IsRecordedAsync(db, saga.CorrelationId, saga.Attempt, cancellation)
            : await CloseAttemptAsync(context, AllCancelled);
    }

    /// <summary>The asker wants the picture no more; whoever else asked for it waits on, until its own deadline.</summary>
    public async Task WithdrawAsync(BehaviorContext<GenerationSaga, CancelGeneration> context)
    {
        await targets.WithdrawAsync(Db(context), context.Saga, context.Message, context.CancellationToken);
        await RenewDeadlineAsync(context);
        await AskForReleaseAsync(context, commandId: null);
    }

    /// <summary>The asker wants the picture after all.</summary>
    public async Task ReopenAsync(BehaviorContext<GenerationSaga, RetryGeneration> context)
    {
        var asker = Asker.Of(context.Message);
        await targets.ReopenAsync(Db(context), context.Saga.CorrelationId, asker, context.CancellationToken);
        await RenewDeadlineAsync(context);
    }

    private async Task RenewDeadlineAsync<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class
    {
        var (db, id) = (Db(context), context.Saga.CorrelationId);
        context.Saga.DeadlineAt = await TargetLedger.DeadlineAsync(db, id, context.CancellationToken);
        Touch(context);
    }

    private Task<bool> StopAsync<T>(BehaviorContext<GenerationSaga, T> context, string reason, string? kind)
        where T : class
    {
        context.Saga.DueAt = null;
        context.Saga.FailureKind = kind ?? context.Saga.FailureKind;
        context.Saga.FailureReason = reason;
        Touch(context);
        return CloseAttemptAsync(context, reason);
    }

    /// <inheritdoc cref="AttemptEnds.CloseAsync"/>
    public static Task<bool> CloseAttemptAsync<T>(BehaviorContext<GenerationSaga, T> context, string reason)
        where T : class =>
        AttemptEnds.CloseAsync(
            Db(context),
            context.Saga.CorrelationId,
            context.Saga.Attempt,
            reason,
            context.CancellationToken
        );

    private static PipelineDbContext Db<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class => context.GetPayload<PipelineDbContext>();

    private void Touch<T>(BehaviorContext<GenerationSaga, T> context)
        where T : class => context.Saga.UpdatedAt = clock.GetUtcNow();

    private static Task SendAsync<T>(BehaviorContext<GenerationSaga> context, T message, string part) =>
        context
            .GetPayload<PipelineDbContext>()
            .AppendAsync(
                [
                    new WireMessage(
                        WireNames.ExchangeOf<T>(),
                        RoutingKey: "",
                        NameBasedGuid.Create(context.Saga.CorrelationId, $"{WireNames.ExchangeOf<T>()} {part}"),
                        WireJson.Write(message),
                        Mandatory: true
                    ),
                ],
                context.CancellationToken
            );
}
