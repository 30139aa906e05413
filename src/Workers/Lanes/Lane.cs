namespace Pipeline.Workers.Lanes;

/// <summary>One lane, for as long as this worker holds its lease. The invariants I1 to I8 are those of ADR 9.</summary>
/// <remarks>
/// A <see cref="LaneLoop"/> works on the lane's link. Whatever goes wrong, the link is thrown away and another one is
/// opened: the broker then delivers again what was not acknowledged, and receipts make the repetition harmless.
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
    private readonly LaneProgress _progress;
    private readonly CancellationTokenSource _leaving = new();
    private readonly CancellationTokenSource _abandoned = new();
    private readonly Task<bool> _run;
    private volatile LaneState _state = LaneState.Opening;
    private bool _hasUnseenEnd;
    private bool _isTooMuchData;
    private int _breaks;

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
        _progress = new LaneProgress(options, clock);
        _run = RunAsync();
    }

    public int Number { get; }

    public LaneState State => _state;

    public bool IsAlive => _state != LaneState.Gone && _progress.IsAlive;

    /// <summary>
    /// A lane that breaks again and again takes one message at a time: the broker counts every delivery that comes
    /// back, and would give up the neighbours of the one that breaks it. Large bodies are taken a few at a time.
    /// </summary>
    private ushort Prefetch =>
        _breaks >= LaneOptions.BreaksBeforeOneByOne ? (ushort)1
        : _isTooMuchData ? Math.Min(_options.Prefetch, LaneOptions.LargeBodyPrefetch)
        : _options.Prefetch;

    public async Task<bool> LeaveAsync()
    {
        _leaving.Cancel();
        return await IsOverAsync() ? await _run : await StopAsync();
    }

    public Task AbandonAsync() => StopAsync();

    /// <returns>False: nothing is known of the close.</returns>
    private async Task<bool> StopAsync()
    {
        _leaving.Cancel();
        _abandoned.Cancel();
        await IsOverAsync();
        return false;
    }

    /// <returns>True once nothing of the lane runs any more; false where that takes too long.</returns>
    private async Task<bool> IsOverAsync()
    {
        try
        {
            await _run.WaitAsync(_options.DrainLimit, _clock);
            return true;
        }
        catch (TimeoutException)
        {
            LaneLog.LaneNotDrained(_logger, Number, _options.DrainLimit);
            return false;
        }
    }

    /// <returns>True where the broker has confirmed that it has no consumer of this lane any more.</returns>
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
    /// <returns>Whether the broker confirmed the close, where the lane was left; null where another link is
    /// wanted.</returns>
    private async Task<bool?> HoldLinkAsync()
    {
        ILaneLink? link = null;
        LaneLoop? loop = null;
        try
        {
            var prefetch = Prefetch;
            // Not ended by leaving: an attempt that was cut short may have left a consumer that nobody closes.
            link = await _links.OpenAsync(Number, prefetch, _abandoned.Token);
            _progress.LinkOpened();
            _state = LaneState.Consuming;
            loop = new LaneLoop(Number, link, _options, _work, _publisher, _progress, _clock);
            // A link with a small prefetch is replaced once as many messages are done as a full one holds.
            var limit = prefetch < _options.Prefetch ? _options.Prefetch : (int?)null;
            await loop.RunAsync(limit, _leaving.Token, _abandoned.Token);
            if (_leaving.IsCancellationRequested)
                _state = LaneState.Leaving;
            (_breaks, _isTooMuchData) = (0, false);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            if (!_leaving.IsCancellationRequested)
                Broke(e, link, loop);
        }

        var isLeft = _leaving.IsCancellationRequested;
        var isClosed = link is not null && !_abandoned.IsCancellationRequested && await CloseAsync(link, loop);
        if (link is not null)
            await link.DisposeAsync();
        _progress.LinkEnded();
        return isLeft ? isClosed : null;
    }

    /// <returns>True where the broker has no consumer of this lane any more, of this link or of one before
    /// it.</returns>
    private async Task<bool> CloseAsync(ILaneLink link, LaneLoop? loop)
    {
        if (loop is { HasTaken: true })
            _hasUnseenEnd = false; // The broker delivers to one consumer at a time, so an earlier one is gone.
        _hasUnseenEnd |= !await link.CloseAsync();
        return !_hasUnseenEnd;
    }

    private void Broke(Exception error, ILaneLink? link, LaneLoop? loop)
    {
        _state = LaneState.Opening;
        if (link is null)
        {
            LaneLog.LinkNotOpened(_logger, Number, error.Message);
            return;
        }

        _metrics?.LinkLost();
        _isTooMuchData |= link.Loss is { IsTooMuchData: true };
        if (loop is { HasSettled: true })
            _breaks = 0;
        // Whatever was in work may be the cause. A link that is lost while the lane is idle says nothing.
        if (_progress.IsUnsettled && link.Loss is not { IsTooMuchData: true })
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
