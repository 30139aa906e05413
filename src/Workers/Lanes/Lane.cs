using Pipeline.Wire;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Lanes;

/// <summary>Where a lane of this worker stands. It only moves forward, but for a lost link: Consuming → Opening.</summary>
internal enum LaneState
{
    /// <summary>A link to the queue is being opened.</summary>
    Opening,

    /// <summary>The queue is consumed.</summary>
    Consuming,

    /// <summary>Nothing new is read; the batch in work is finished and the link is closed.</summary>
    Leaving,

    /// <summary>Nothing of this lane runs here any more.</summary>
    Gone,
}

/// <summary>Applies a batch of deliveries.</summary>
internal interface ILaneWork
{
    /// <summary>Decides every delivery and commits: effect, receipts, versions.</summary>
    /// <returns>What has to be published before the batch is acknowledged: events and dead letters, in order.</returns>
    /// <exception cref="Exception">Nothing may be acknowledged; the broker delivers the batch again.</exception>
    Task<IReadOnlyList<WireMessage>> ApplyAsync(int lane, IReadOnlyList<Delivery> batch, CancellationToken given);
}

/// <summary>Publishes what a batch has led to.</summary>
internal interface ILanePublisher
{
    /// <summary>Publishes the messages in order and returns once the broker has confirmed all of them.</summary>
    Task PublishAsync(int lane, IReadOnlyList<WireMessage> messages, CancellationToken given);
}

/// <summary>One lane, for as long as this worker holds its lease. The invariants I1 to I8 are those of ADR 9.</summary>
/// <remarks>
/// A loop takes what is at hand, applies it in one transaction, publishes what follows from it, and acknowledges it with
/// one <c>basic.ack(multiple)</c>. A batch is published while the next one is applied, but never overtaken by it.
/// Whatever goes wrong, the link is thrown away and another one is opened: the broker then delivers again what was not
/// acknowledged, and receipts make the repetition harmless.
/// </remarks>
internal sealed class Lane : ILane
{
    private readonly LaneOptions _options;
    private readonly ILaneLinks _links;
    private readonly ILaneWork _work;
    private readonly ILanePublisher _publisher;
    private readonly LaneMetrics? _metrics;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _leaving = new();
    private readonly CancellationTokenSource _abandoned = new();
    private readonly Task<bool> _run;

    private volatile LaneState _state = LaneState.Opening;
    private const long Linked = -1;

    private long _progressAt;
    private long _unlinkedSince;
    private volatile bool _isIdle;
    private bool _isUnsettled;
    private bool _hasUnseenEnd;
    private int _breaks;
    private bool _isTooMuchData;

    /// <param name="number">From 0 to the lane count less one.</param>
    /// <param name="options">Limits of batches and waits.</param>
    /// <param name="links">The broker.</param>
    /// <param name="work">The database.</param>
    /// <param name="publisher">For events and dead letters.</param>
    /// <param name="metrics">Counts lost links; null to count nothing.</param>
    /// <param name="clock">For limits and back-off.</param>
    /// <param name="logger">One line for each lost link.</param>
    public Lane(
        int number,
        LaneOptions options,
        ILaneLinks links,
        ILaneWork work,
        ILanePublisher publisher,
        LaneMetrics? metrics,
        TimeProvider clock,
        ILogger logger
    )
    {
        (Number, _options, _links, _work) = (number, options, links, work);
        (_publisher, _metrics, _clock, _logger) = (publisher, metrics, clock, logger);
        _progressAt = _unlinkedSince = clock.GetTimestamp();
        _run = RunAsync();
    }

    public int Number { get; }

    public LaneState State => _state;

    /// <inheritdoc/>
    public bool IsAlive =>
        _state != LaneState.Gone
        && (_isIdle || _clock.GetElapsedTime(Volatile.Read(ref _progressAt)) < _options.ProgressLimit)
        && (
            Volatile.Read(ref _unlinkedSince) is var since
            && (since == Linked || _clock.GetElapsedTime(since) < _options.OpenLimit)
        );

    /// <inheritdoc/>
    public async Task<bool> LeaveAsync()
    {
        _leaving.Cancel();
        try
        {
            return await _run.WaitAsync(_options.DrainLimit, _clock);
        }
        catch (TimeoutException)
        {
            LaneLog.LaneNotDrained(_logger, Number, _options.DrainLimit);
            await AbandonAsync();
            return false;
        }
    }

    /// <inheritdoc/>
    public async Task AbandonAsync()
    {
        _leaving.Cancel();
        _abandoned.Cancel();
        try
        {
            await _run.WaitAsync(_options.DrainLimit, _clock);
        }
        catch (TimeoutException)
        {
            LaneLog.LaneNotDrained(_logger, Number, _options.DrainLimit);
        }
    }

    /// <returns>True where the broker has confirmed the close of the last link.</returns>
    private async Task<bool> RunAsync()
    {
        await Task.Yield(); // The constructor returns before the first link is opened.
        try
        {
            while (!_leaving.IsCancellationRequested)
            {
                if (await HoldLinkAsync() is { } isClosed)
                    return isClosed;
                await PauseAsync();
            }

            return false; // Left without a link: whether the broker has seen the end of the last one is not known.
        }
        finally
        {
            _state = LaneState.Gone;
        }
    }

    /// <summary>Opens a link and works on it until the lane is left, or the link is lost or to be replaced.</summary>
    /// <returns>Whether the broker confirmed the close, where the lane was left; null where another link is wanted.</returns>
    private async Task<bool?> HoldLinkAsync()
    {
        ILaneLink? link = null;
        try
        {
            var prefetch = Prefetch;
            link = await _links.OpenAsync(Number, prefetch, _leaving.Token);
            Volatile.Write(ref _unlinkedSince, Linked);
            _state = LaneState.Consuming;
            await ConsumeAsync(link, prefetch);
            var isLeft = _leaving.IsCancellationRequested;
            if (isLeft)
                _state = LaneState.Leaving;
            else
                (_breaks, _isTooMuchData) = (0, false); // Its prefetch was small; the next link has a full one.
            var isClosed = await CloseAsync(link);
            return isLeft ? isClosed : null;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            if (_abandoned.IsCancellationRequested)
                return false;
            var isGone = link is not null && await CloseAsync(link);
            if (_leaving.IsCancellationRequested)
                return isGone;
            Broke(e, link);
            return null;
        }
        finally
        {
            if (link is not null)
                await link.DisposeAsync();
            Interlocked.CompareExchange(ref _unlinkedSince, _clock.GetTimestamp(), Linked);
            _isUnsettled = false;
        }
    }

    /// <returns>True where the broker has no consumer of this lane any more, of this link or of one before it.</returns>
    private async Task<bool> CloseAsync(ILaneLink link)
    {
        _hasUnseenEnd |= !await link.CloseAsync();
        return !_hasUnseenEnd;
    }

    /// <summary>
    /// A lane that breaks again and again takes one message at a time: the broker counts every delivery that comes back,
    /// and would give up the neighbours of the one that breaks it. Large bodies are taken a few at a time.
    /// </summary>
    private ushort Prefetch =>
        _breaks >= LaneOptions.BreaksBeforeOneByOne ? (ushort)1
        : _isTooMuchData ? Math.Min(_options.Prefetch, LaneOptions.LargeBodyPrefetch)
        : _options.Prefetch;

    private async Task ConsumeAsync(ILaneLink link, ushort prefetch)
    {
        // Nothing begins after the link is known to be lost or the lane is abandoned.
        using var given = CancellationTokenSource.CreateLinkedTokenSource(link.Lost, _abandoned.Token);
        var settled = Task.CompletedTask;
        try
        {
            var taken = 0;
            while (
                (prefetch == _options.Prefetch || taken < _options.Prefetch)
                && await NextBatchAsync(link, settled, given.Token) is { } batch
            )
            {
                _isUnsettled = true;
                _hasUnseenEnd = false; // The broker delivers to one consumer at a time, so an earlier one is gone.
                var messages = await _work.ApplyAsync(Number, batch, given.Token);
                await settled;
                Progress();
                settled = SettleAsync(link, messages, batch[^1].Tag, given.Token);
                taken += batch.Count;
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
    private async Task<IReadOnlyList<Delivery>?> NextBatchAsync(ILaneLink link, Task settled, CancellationToken given)
    {
        var batch = LaneBatch.Take(link.Deliveries, _options.BatchLimit);
        while (batch.Count == 0 && !_leaving.IsCancellationRequested)
        {
            given.ThrowIfCancellationRequested();
            await WaitForDeliveriesAsync(link, settled, given);
            batch = LaneBatch.Take(link.Deliveries, _options.BatchLimit);
        }

        given.ThrowIfCancellationRequested();
        return _leaving.IsCancellationRequested ? null : batch;
    }

    /// <summary>Returns when there is a delivery, or the lane is being left.</summary>
    private async Task WaitForDeliveriesAsync(ILaneLink link, Task settled, CancellationToken given)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(given, _leaving.Token);
        try
        {
            var reading = link.Deliveries.WaitToReadAsync(waiting.Token).AsTask();
            // A lane whose last batch is still being published is not idle: that has a limit, too.
            if (!settled.IsCompleted)
                await Task.WhenAny(settled, reading);
            if (settled.IsCompleted)
                await settled;
            _isIdle = settled.IsCompleted;
            if (!await reading)
                throw new LinkLostException(link.Loss ?? new LinkLoss("there are no more deliveries"));
        }
        catch (OperationCanceledException) when (_leaving.IsCancellationRequested && !given.IsCancellationRequested)
        {
            // The loop ends.
        }
        finally
        {
            Progress();
            _isIdle = false;
        }
    }

    private async Task SettleAsync(
        ILaneLink link,
        IReadOnlyList<WireMessage> messages,
        ulong lastTag,
        CancellationToken given
    )
    {
        await _publisher.PublishAsync(Number, messages, given);
        await link.AcknowledgeAsync(lastTag, given).WaitAsync(_options.CloseLimit, _clock, given);
        Progress();
        _breaks = 0;
        _isUnsettled = false;
    }

    private void Progress() => Volatile.Write(ref _progressAt, _clock.GetTimestamp());

    private void Broke(Exception error, ILaneLink? link)
    {
        if (link is null)
        {
            LaneLog.LinkNotOpened(_logger, Number, error.Message);
            return;
        }

        _state = LaneState.Opening;
        _metrics?.LinkLost();
        _isTooMuchData |= link.Loss is { IsTooMuchData: true };
        // Whatever was in work may be the cause. A link that is lost while the lane is idle says nothing.
        if (_isUnsettled && !_isTooMuchData)
            _breaks++;
        if (link.Loss is { } loss)
            LaneLog.LinkLost(_logger, Number, loss.Reason, _breaks);
        else
            LaneLog.LaneBroke(_logger, error, Number, _breaks);
    }

    private async Task PauseAsync()
    {
        var pause = LaneOptions.ReopenPause * Math.Pow(2, Math.Min(_breaks, LaneOptions.ReopenDoublings));
        try
        {
            await Task.Delay(pause, _clock, _leaving.Token);
        }
        catch (OperationCanceledException) when (_leaving.IsCancellationRequested)
        {
            // The lane is left without a link.
        }
    }
}

/// <summary>A lane as the balancer sees it.</summary>
internal interface ILane
{
    /// <summary>From 0 to the lane count less one.</summary>
    int Number { get; }

    /// <summary>
    /// True while the lane waits for deliveries on an open link, or has made progress within its limit. Only then is its
    /// lease renewed.
    /// </summary>
    bool IsAlive { get; }

    /// <summary>Where it stands.</summary>
    LaneState State { get; }

    /// <summary>Finishes the batch in work and closes the link.</summary>
    /// <returns>
    /// True once the broker has confirmed the close, so that the lease may be released. False where that was not seen
    /// within the limit: the lease must run out.
    /// </returns>
    Task<bool> LeaveAsync();

    /// <summary>Stops at once because the lease is lost. The lease must not be released.</summary>
    Task AbandonAsync();
}
