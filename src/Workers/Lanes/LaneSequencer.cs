namespace Pipeline.Workers.Lanes;

/// <summary>
/// Puts a channel's deliveries back into the order in which the broker sent them, and applies them in batches.
/// </summary>
/// <remarks>
/// MassTransit starts deliveries in racing tasks. The delivery tag tells the order: tags of a channel start at 1 and
/// have no gap, so the next tag is waited for. A message that never becomes a command gives its tag up
/// (<see cref="Settle"/> with null). A new channel is a new sequencer. What is at hand goes into one batch, so batches
/// grow under load and a lone command waits for nobody.
/// </remarks>
internal sealed class LaneSequencer(
    int lane,
    int batchLimit,
    LaneApplier applier,
    LaneAnnouncer announcer,
    Func<Task> closeChannel,
    ILogger logger
)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, LaneTicket?> _settled = [];
    private readonly HashSet<LaneTicket> _open = [];
    private readonly CancellationTokenSource _given = new();
    private ulong _next = 1;
    private bool _working;
    private Task _announced = Task.CompletedTask;

    /// <summary>
    /// True while deliveries wait for one that is not there. When the consumer is being stopped it will never come:
    /// MassTransit drops deliveries that race with its stop.
    /// </summary>
    public bool IsStuck
    {
        get
        {
            lock (_lock)
                return _open.Count > 0 && !_working && _announced.IsCompleted;
        }
    }

    /// <summary>Takes note of a delivery; it must be settled later.</summary>
    public LaneTicket Open(ulong tag)
    {
        var ticket = new LaneTicket(tag, this);
        lock (_lock)
            _open.Add(ticket);
        return ticket;
    }

    /// <summary>The delivery has become a command, or never will (null).</summary>
    public void Settle(ulong tag, LaneTicket? ticket)
    {
        lock (_lock)
        {
            if (!_settled.TryAdd(tag, ticket) || _working || tag != _next)
                return;
            _working = true;
        }

        _ = Task.Run(WorkAsync);
    }

    public void Close(LaneTicket ticket)
    {
        lock (_lock)
            _open.Remove(ticket);
    }

    /// <summary>
    /// Gives the lane up: closes the channel, so that the broker takes back everything unanswered in its order. (A
    /// message returned by itself would be overtaken by its successors.)
    /// </summary>
    public async Task GiveUpAsync()
    {
        await _given.CancelAsync();
        await closeChannel();
        Abandon();
    }

    /// <summary>The channel is gone: nothing waits any more. What was not answered is delivered again elsewhere.</summary>
    public void Abandon()
    {
        _given.Cancel();
        LaneTicket[] open;
        lock (_lock)
            open = [.. _open];
        foreach (var ticket in open)
            ticket.Abandon(_given.Token);
    }

    private async Task WorkAsync()
    {
        try
        {
            while (TakeBatch() is { } batch)
            {
                await applier.ApplyAsync(lane, [.. batch.Select(x => x.Entry!)], _given.Token);

                // The batch before is announced while this one is applied, but never after it.
                await _announced;
                _announced = AnnounceAsync(batch);
            }
        }
        catch (OperationCanceledException) when (_given.IsCancellationRequested)
        {
            // Given up: the tickets were told by Abandon, and the broker delivers their messages again.
        }
        catch (Exception e)
        {
            LaneLog.LaneBroke(logger, e, lane);
            await GiveUpAsync();
        }
    }

    /// <returns>The commands at the head of the lane; null when the next one is not there yet.</returns>
    private List<LaneTicket>? TakeBatch()
    {
        lock (_lock)
        {
            var batch = new List<LaneTicket>();
            while (batch.Count < batchLimit && _settled.TryGetValue(_next, out var ticket))
            {
                if (ticket is not null && LaneApplier.IsSuspect(ticket.Entry!) && batch.Count > 0)
                    break; // A suspect is applied alone.

                _settled.Remove(_next++);
                if (ticket is null)
                    continue;
                batch.Add(ticket);
                if (LaneApplier.IsSuspect(ticket.Entry!))
                    break;
            }

            _working = batch.Count > 0;
            return _working ? batch : null;
        }
    }

    private async Task AnnounceAsync(List<LaneTicket> batch)
    {
        try
        {
            await announcer.AnnounceAsync(lane, batch.Select(x => x.Entry!.Decision!), _given.Token);
            foreach (var ticket in batch)
            {
                ticket.Answer();
                // MassTransit moves dead letters in racing tasks; one after the other they keep the lane's order, in
                // which they are replayed.
                if (ticket.IsDeadLetter)
                    await ticket.Left.WaitAsync(_given.Token);
            }
        }
        catch (OperationCanceledException) when (_given.IsCancellationRequested)
        {
            // Given up: a redelivery finds the receipts and announces again.
        }
        catch (Exception e)
        {
            LaneLog.LaneBroke(logger, e, lane);
            await GiveUpAsync();
        }
    }
}
