using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Webhooks;

/// <summary>Delivers what is due: several subscriptions at once, to each one event after the other.</summary>
/// <remarks>
/// Runs in every process. A delivery whose worker dies between the receiver's answer and the row is made again, under
/// the same <c>webhook-id</c>: at least once.
/// </remarks>
internal sealed partial class WebhookDispatcher(
    DeliveryTurns turns,
    WebhookSender sender,
    WebhookOptions options,
    WebhookMetrics metrics,
    TimeProvider clock,
    ILogger<WebhookDispatcher> logger
) : Sweeper(options.SweepEvery, clock, logger)
{
    // Then others have their turn; with one event after the other a long backlog would hold a slot for hours.
    private const int TurnLimit = 100;

    private readonly List<Task> _running = [];

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await Task.WhenAll(_running); // Cut off by now; they give their turns back.
    }

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        _running.RemoveAll(x => x.IsCompleted);
        var free = options.ConcurrentDeliveries - _running.Count;
        if (free == 0)
            return;
        foreach (var (subscription, lease) in await turns.TakeAsync(free, stopping))
            _running.Add(ServeAsync(subscription, lease, stopping));
    }

    private async Task ServeAsync(Guid subscription, Guid lease, CancellationToken stopping)
    {
        try
        {
            for (var served = 0; served < TurnLimit; served++)
            {
                if (await turns.BeginAsync(subscription, lease, stopping) is not { } delivery)
                    break;
                var started = Clock.GetTimestamp();
                var result = await sender.SendAsync(delivery, stopping);
                // What the receiver has said is recorded, even while the process stops.
                var state = await turns.EndAsync(delivery, result, CancellationToken.None);
                metrics.Attempted(state, Clock.GetElapsedTime(started));
                if (result.Error is not null)
                    Failed(delivery.MessageId, subscription, delivery.Attempt, result.Error, state);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Cut off: the delivery is still due, and the turn is given back for the next worker.
        }
        catch (Exception e) when (Transience.IsOutage(e) || Transience.IsContention(e))
        {
            DeliveriesWait(e.Message);
        }
        catch (Exception e)
        {
            Broke(e, subscription);
            return; // The turn lapses: its pause keeps a defect from being repeated at once.
        }

        await GiveBackAsync(subscription, lease);
    }

    private async Task GiveBackAsync(Guid subscription, Guid lease)
    {
        try
        {
            await turns.GiveBackAsync(subscription, lease, CancellationToken.None);
        }
        catch (Exception e) when (Transience.IsOutage(e) || Transience.IsContention(e))
        {
            DeliveriesWait(e.Message); // The turn lapses by itself.
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Webhook {MessageId} to subscription {SubscriptionId}, attempt {Attempt}: {Error} It is {State}"
    )]
    private partial void Failed(Guid messageId, Guid subscriptionId, int attempt, string error, string state);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Webhooks wait: {Error}")]
    private partial void DeliveriesWait(string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "A turn of subscription {SubscriptionId} broke")]
    private partial void Broke(Exception error, Guid subscriptionId);
}
