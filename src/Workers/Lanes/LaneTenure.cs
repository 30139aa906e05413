namespace Pipeline.Workers.Lanes;

/// <summary>A lane under one lease.</summary>
internal sealed class LaneTenure : IAsyncDisposable
{
    // A lane stops a little before its lease ends in the database, because timers are late on a busy machine.
    private const double LeaseShareUsed = 0.9;

    private readonly Lock _lock = new();
    private readonly TimeProvider _clock;
    private readonly ITimer _leaseEnd;
    private Task? _abandoned;

    /// <param name="lane">Begins at once.</param>
    /// <param name="epoch">Of the lease.</param>
    /// <param name="clock">Stops the lane when the lease ends, without asking the database.</param>
    /// <param name="leaseEnded">Called on the timer's thread.</param>
    public LaneTenure(ILane lane, long epoch, TimeProvider clock, Action<LaneTenure> leaseEnded)
    {
        (Lane, Epoch, _clock) = (lane, epoch, clock);
        _leaseEnd = clock.CreateTimer(
            _ => leaseEnded(this),
            state: null,
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan
        );
    }

    public ILane Lane { get; }

    public long Epoch { get; }

    /// <summary>Numbers of the lanes that make progress, whose leases may be renewed.</summary>
    public static int[] Alive(params IReadOnlyDictionary<int, LaneTenure>[] tenures) =>
        [
            .. tenures
                .SelectMany(x => x.Values)
                .Where(x => x.Abandoned is null && x.Lane.IsAlive)
                .Select(x => x.Lane.Number),
        ];

    /// <summary>Ends when the lane has been left.</summary>
    public Task Left { get; set; } = Task.CompletedTask;

    /// <summary>Null until the lane was abandoned; ends when nothing of it runs any more.</summary>
    public Task? Abandoned
    {
        get
        {
            lock (_lock)
                return _abandoned;
        }
    }

    /// <summary>The lease was renewed.</summary>
    /// <param name="length">Of the lease.</param>
    /// <param name="startedAt">When the renewal was begun, by the clock's timestamp.</param>
    public void Extend(TimeSpan length, long startedAt)
    {
        var left = (length * LeaseShareUsed) - _clock.GetElapsedTime(startedAt);
        _leaseEnd.Change(left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Stops the lane without releasing its lease.</summary>
    /// <returns>False where that was done before.</returns>
    public bool TryAbandon()
    {
        lock (_lock)
        {
            if (_abandoned is not null)
                return false;
            _abandoned = Lane.AbandonAsync();
            return true;
        }
    }

    public ValueTask DisposeAsync() => _leaseEnd.DisposeAsync();
}
