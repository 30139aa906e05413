namespace Pipeline.Workers.Lanes;

/// <summary>
/// Whether a lane lives: what its loop reports, against the limits of <see cref="LaneOptions"/>. Read by the balancer from
/// another thread.
/// </summary>
internal sealed class LaneProgress(LaneOptions options, TimeProvider clock)
{
    private const long Linked = -1;

    private long _progressAt = clock.GetTimestamp();
    private long _unlinkedSince = clock.GetTimestamp();
    private volatile bool _isIdle;
    private int _unsettled;

    /// <inheritdoc cref="ILane.IsAlive"/>
    public bool IsAlive => HasProgress && HasLink;

    /// <summary>True while a batch is taken and not yet acknowledged.</summary>
    public bool IsUnsettled => Volatile.Read(ref _unsettled) > 0;

    private bool HasProgress => _isIdle || IsWithin(ref _progressAt, options.ProgressLimit);

    private bool HasLink =>
        Volatile.Read(ref _unlinkedSince) == Linked || IsWithin(ref _unlinkedSince, options.OpenLimit);

    /// <summary>A link is open.</summary>
    public void LinkOpened() => Volatile.Write(ref _unlinkedSince, Linked);

    /// <summary>There is no link any more, or an attempt to open one has failed.</summary>
    public void LinkEnded()
    {
        Interlocked.CompareExchange(ref _unlinkedSince, clock.GetTimestamp(), Linked);
        Volatile.Write(ref _unsettled, 0);
    }

    /// <summary>The lane waits for deliveries, and nothing is in work.</summary>
    public void Idle() => _isIdle = true;

    /// <summary>The wait for deliveries is over.</summary>
    public void Woke()
    {
        Made();
        _isIdle = false;
    }

    /// <summary>A batch was taken.</summary>
    public void Took() => Interlocked.Increment(ref _unsettled);

    /// <summary>A batch was acknowledged.</summary>
    public void Settled()
    {
        Made();
        Interlocked.Decrement(ref _unsettled);
    }

    /// <summary>A batch was committed.</summary>
    public void Made() => Volatile.Write(ref _progressAt, clock.GetTimestamp());

    private bool IsWithin(ref long since, TimeSpan limit) => clock.GetElapsedTime(Volatile.Read(ref since)) < limit;
}
