using Pipeline.Wire;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Works on one link: takes what is at hand, applies it in one transaction, publishes what follows from it, and
/// acknowledges it with one <c>basic.ack(multiple)</c>. A batch is published while the next one is applied, but never
/// overtaken by it.
/// </summary>
/// <param name="lane">From 0 to the lane count less one.</param>
/// <param name="link">Open; this neither closes nor disposes it.</param>
/// <param name="options">Limits of batches and waits.</param>
/// <param name="work">The database.</param>
/// <param name="publisher">For events and dead letters.</param>
/// <param name="progress">What the balancer judges the lane by.</param>
/// <param name="clock">For limits.</param>
internal sealed class LaneLoop(
    int lane,
    ILaneLink link,
    LaneOptions options,
    ILaneWork work,
    ILanePublisher publisher,
    LaneProgress progress,
    TimeProvider clock
)
{
    /// <summary>True once the link has delivered: it is the queue's active consumer, so that no earlier one is left.</summary>
    public bool HasTaken { get; private set; }

    /// <summary>True once a batch was acknowledged.</summary>
    public bool HasSettled { get; private set; }

    /// <summary>Works until the lane is left, or so many messages are done.</summary>
    /// <param name="messageLimit">Messages after which the link is to be replaced; null for none.</param>
    /// <param name="leaving">Ends the reading; the batch in work is finished.</param>
    /// <param name="abandoned">Ends everything.</param>
    /// <exception cref="LinkLostException">The link was lost.</exception>
    /// <exception cref="Exception">A batch could not be applied or published. Nothing of it is acknowledged.</exception>
    public async Task RunAsync(int? messageLimit, CancellationToken leaving, CancellationToken abandoned)
    {
        // Nothing begins after the link is known to be lost or the lane is abandoned.
        using var given = CancellationTokenSource.CreateLinkedTokenSource(link.Lost, abandoned);
        var settled = Task.CompletedTask;
        try
        {
            var taken = 0;
            while (taken < (messageLimit ?? int.MaxValue))
            {
                if (await NextBatchAsync(settled, leaving, given.Token) is not { } batch)
                    break;
                progress.Took();
                HasTaken = true;
                var messages = await work.ApplyAsync(lane, batch, given.Token);
                await settled;
                progress.Made();
                settled = SettleAsync(messages, batch[^1].Tag, given.Token);
                taken = messageLimit is null ? 0 : taken + batch.Count;
            }

            await settled;
        }
        catch
        {
            given.Cancel();
            await settled.ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext
            );
            throw;
        }
    }

    /// <summary>Waits for deliveries, and takes what is at hand.</summary>
    /// <returns>Null once the lane is being left.</returns>
    private async Task<IReadOnlyList<Delivery>?> NextBatchAsync(
        Task settled,
        CancellationToken leaving,
        CancellationToken given
    )
    {
        var batch = LaneBatch.Take(link.Deliveries, options.BatchLimit);
        while (batch.Count == 0 && !leaving.IsCancellationRequested)
        {
            given.ThrowIfCancellationRequested();
            await WaitForDeliveriesAsync(settled, leaving, given);
            batch = LaneBatch.Take(link.Deliveries, options.BatchLimit);
        }

        given.ThrowIfCancellationRequested();
        return leaving.IsCancellationRequested ? null : batch;
    }

    /// <summary>Returns when there is a delivery, or the lane is being left.</summary>
    private async Task WaitForDeliveriesAsync(Task settled, CancellationToken leaving, CancellationToken given)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(given, leaving);
        try
        {
            var reading = link.Deliveries.WaitToReadAsync(waiting.Token).AsTask();
            // A lane whose last batch is still being published is not idle: that has a limit, too.
            if (!settled.IsCompleted)
                await Task.WhenAny(settled, reading);
            if (settled.IsCompleted)
            {
                await settled;
                progress.Idle();
            }

            if (!await reading)
                throw new LinkLostException(link.Loss ?? new LinkLoss("there are no more deliveries"));
        }
        catch (OperationCanceledException) when (leaving.IsCancellationRequested && !given.IsCancellationRequested)
        {
            // The loop ends.
        }
        finally
        {
            progress.Woke();
        }
    }

    private async Task SettleAsync(IReadOnlyList<WireMessage> messages, ulong lastTag, CancellationToken given)
    {
        await publisher.PublishAsync(lane, messages, given);
        await link.AcknowledgeAsync(lastTag, given).WaitAsync(options.CloseLimit, clock, given);
        progress.Settled();
        HasSettled = true;
    }
}
