namespace Pipeline.Workers.Lanes;

/// <summary>
/// Whether this worker can reach the broker. One that cannot takes no lanes: it would take its own again and again,
/// while other workers could serve them.
/// </summary>
internal sealed class BrokerReach(ILaneLinks links, ILogger logger)
{
    private Task<bool>? _probe;

    /// <summary>True until a lane had no link for too long, and again once a connection could be opened.</summary>
    public bool CanReach { get; private set; } = true;

    /// <summary>Asks anew, without waiting for the answer.</summary>
    /// <param name="isCutOff">True where a lane has had no link for too long.</param>
    /// <param name="cancellation">The worker's.</param>
    public void Look(bool isCutOff, CancellationToken cancellation)
    {
        if (CanReach && isCutOff)
        {
            CanReach = false;
            LaneLog.BrokerUnreachable(logger);
        }

        if (CanReach)
            return;
        if (_probe is not { IsCompleted: true })
        {
            _probe ??= links.CanConnectAsync(cancellation);
            return;
        }

        CanReach = _probe is { IsCompletedSuccessfully: true, Result: true };
        _probe = null;
    }
}
