using MassTransit;
using Npgsql;
using Pipeline.Contracts.Deleting;
using Pipeline.Wire;
using Pipeline.Workers.Cdn;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Deleting;

/// <summary>Takes one step of a deletion, and tells the saga how it ended.</summary>
/// <remarks>
/// Every step may be taken twice, and by two workers at once: a message whose worker died is delivered again. What is
/// deleted has been written down before; nothing that is shown can have one of these keys.
/// </remarks>
internal sealed partial class PurgeImageConsumer(
    DeletionKeys keys,
    ObjectPurge purge,
    CdnInvalidation cdns,
    NpgsqlDataSource source,
    ILogger<PurgeImageConsumer> logger
) : IConsumer<PurgeImage>
{
    public async Task Consume(ConsumeContext<PurgeImage> context)
    {
        var (step, cancellation) = (context.Message, context.CancellationToken);
        var scope = await keys.ScopeAsync(step.DeletionId, cancellation);
        if (scope is null || scope.Attempt != step.Attempt)
            return; // Of an earlier attempt: the current one has a message of its own.

        var answer = await AnswerAsync(step, scope, cancellation);
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await Outbox.AppendAsync(connection, transaction, [answer], cancellation);
        await transaction.CommitAsync(cancellation);
    }

    private async Task<WireMessage> AnswerAsync(PurgeImage step, DeletionScope scope, CancellationToken cancellation)
    {
        try
        {
            var hasMore = false;
            if (step.Step == PurgeSteps.Purge)
                hasMore = await purge.DeleteAsync(scope, cancellation);
            else if (step.Step == PurgeSteps.Verify)
                await purge.VerifyAsync(scope, cancellation);
            else
                await InvalidateAsync(scope, cancellation);
            Taken(step.Step, step.DeletionId, step.Attempt);
            return DeletionMessages.Done(step, hasMore);
        }
        catch (Exception e) when (e is StorageUnavailableException or CdnUnavailableException)
        {
            return Failed(step, PurgeFailureKinds.Outage, e.Message);
        }
        catch (Exception e) when (e is ObjectsLeftException or StorageMisconfiguredException or CdnRefusedException)
        {
            return Failed(step, PurgeFailureKinds.Refused, e.Message);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested && !DatabaseRetries.IsOfDatabase(e))
        {
            // Nobody expected it. As a dead letter it would leave the deletion in this step, and nobody would see why.
            Unexpected(e, step.Step, step.DeletionId, step.Attempt);
            return DeletionMessages.Failed(step, PurgeFailureKinds.Refused, $"{e.GetType().Name}: {e.Message}");
        }
    }

    private async Task InvalidateAsync(DeletionScope scope, CancellationToken cancellation)
    {
        if (!cdns.IsConfigured)
            return;

        var after = "";
        while (true)
        {
            var page = await keys.PageAsync(scope.Id, after, CdnInvalidation.BatchLimit, cancellation);
            if (page.Count == 0)
                return;
            // The same keys of the same deletion are the same request to a CDN, however often it is made.
            var reference = NameBasedGuid.Create(scope.Id, string.Join('\n', page));
            await cdns.InvalidateAsync(page, $"{reference:N}", cancellation);
            after = page[^1];
        }
    }

    private WireMessage Failed(PurgeImage step, string kind, string reason)
    {
        Refused(step.Step, step.DeletionId, step.Attempt, kind, reason);
        return DeletionMessages.Failed(step, kind, reason);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Step {Step} of deletion {DeletionId}, attempt {Attempt}, broke")]
    private partial void Unexpected(Exception exception, string step, Guid deletionId, int attempt);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Step {Step} of deletion {DeletionId}, attempt {Attempt}, is done"
    )]
    private partial void Taken(string step, Guid deletionId, int attempt);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Step {Step} of deletion {DeletionId}, attempt {Attempt}, failed ({Kind}): {Reason}"
    )]
    private partial void Refused(string step, Guid deletionId, int attempt, string kind, string reason);
}
