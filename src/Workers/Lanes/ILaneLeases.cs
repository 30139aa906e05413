namespace Pipeline.Workers.Lanes;

/// <summary>The leases of the lanes, as the balancer needs them.</summary>
internal interface ILaneLeases
{
    /// <summary>
    /// Renews this worker's row and the leases of its living lanes, and takes or offers lanes so that all workers hold
    /// about as many.
    /// </summary>
    /// <param name="alive">Lanes that make progress here. A lease that is not among them runs out.</param>
    /// <param name="takesLanes">False for a worker that cannot reach the broker: the others count without it.</param>
    /// <param name="cancellation">Ends the wait for the database.</param>
    Task<LaneBalance> BalanceAsync(IReadOnlyCollection<int> alive, bool takesLanes, CancellationToken cancellation);

    /// <summary>Renews and takes nothing new, for a worker that is stopping.</summary>
    /// <returns>The lanes that it still holds, with their epochs.</returns>
    Task<IReadOnlyDictionary<int, long>> RenewAsync(IReadOnlyCollection<int> alive, CancellationToken cancellation);

    /// <summary>Frees one lane at once. The broker must have confirmed that this worker no longer consumes it.</summary>
    Task ReleaseAsync(int lane, long epoch, CancellationToken cancellation);

    /// <summary>Takes this worker off the list of the living.</summary>
    Task LeaveAsync(CancellationToken cancellation);
}

/// <summary>What a worker holds after it has balanced.</summary>
/// <param name="Held">Lanes with their epochs. The epoch rises with each change of holder.</param>
/// <param name="HandOver">How many of them others lack.</param>
/// <param name="NextEnd">When the next lease of another worker ends, unless it is renewed; null for none.</param>
internal sealed record LaneBalance(IReadOnlyDictionary<int, long> Held, int HandOver, TimeSpan? NextEnd = null)
{
    // A lease has ended only after its end.
    private static readonly TimeSpan Margin = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// How long until it is worth looking again: as often as leases are renewed, and earlier where one is about to end,
    /// so that the lanes of a dead worker are taken over at once.
    /// </summary>
    public TimeSpan NextTurn(TimeSpan renewEvery) =>
        NextEnd is { } end && end + Margin < renewEvery ? end + Margin : renewEvery;
}
