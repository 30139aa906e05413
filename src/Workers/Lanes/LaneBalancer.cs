using MassTransit;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Holds this worker's share of the lanes: takes free ones, hands over what is too many, leaves those whose lease is
/// lost.
/// </summary>
/// <remarks>
/// RabbitMQ's single active consumer keeps two processes from reading one lane at once, but gives every lane to whoever
/// came first. The leases spread them; only the holder of a lease has a consumer at all, so a lane is handed over with
/// nothing in flight. A holder that dies stops renewing; one that is paused finds its lease gone when it wakes up.
/// </remarks>
internal sealed class LaneBalancer(
    LaneLeases leases,
    LaneOptions options,
    IEnumerable<ILaneHandler> handlers,
    LaneApplier applier,
    LaneAnnouncer announcer,
    IReceiveEndpointConnector bus,
    LaneMetrics metrics,
    TimeProvider clock,
    ILogger<LaneBalancer> logger
) : BackgroundService
{
    // Longer than it takes to connect to a broker that is there; a lane stands still for that long.
    private static readonly TimeSpan ConsumerGoneLimit = TimeSpan.FromSeconds(10);

    private readonly ILaneHandler[] _handlers = [.. handlers];
    private readonly Dictionary<int, (LaneEndpoint Endpoint, long Epoch)> _open = [];
    private readonly Dictionary<int, Task> _leaving = [];
    private long _renewedAt;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.RenewEvery, clock);
        try
        {
            do
            {
                await TickAsync(stoppingToken);
            } while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops in order; StopAsync hands the lanes over.
        }
    }

    /// <summary>Finishes what the lanes have at hand, then frees them, so that others need not wait for the leases' end.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        using var renewing = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var renewal = RenewWhileDrainingAsync(renewing.Token);
        await Task.WhenAll(
            _open.Keys.ToArray().Select(x => HandOverAsync(x, "the worker stops")).Concat(_leaving.Values)
        );
        await renewing.CancelAsync();
        await renewal;
        try
        {
            await leases.LeaveAsync(cancellationToken);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LaneLog.LeaseNotRenewed(logger, e.Message); // The leases end by themselves.
        }
    }

    private async Task TickAsync(CancellationToken cancellation)
    {
        var startedAt = clock.GetTimestamp();
        try
        {
            var (held, handOver) = await leases
                .BalanceAsync(cancellation)
                .WaitAsync(options.LeaseLength, clock, cancellation);
            _renewedAt = startedAt;
            await FollowAsync(held, handOver);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested && e is not OutOfMemoryException)
        {
            LaneLog.LeaseNotRenewed(logger, e.Message);
            if (clock.GetElapsedTime(_renewedAt) >= options.LeaseLength)
                Abandon(_open, "the lease has ended unrenewed");
        }
    }

    private async Task FollowAsync(IReadOnlyDictionary<int, long> held, int handOver)
    {
        foreach (var (lane, task) in _leaving.Where(x => x.Value.IsCompleted).ToArray())
        {
            await task;
            _leaving.Remove(lane);
        }

        // A lane with another epoch was lost and taken again in between: its consumer may have been paused.
        Abandon(
            _open.Where(x => !held.TryGetValue(x.Key, out var epoch) || epoch != x.Value.Epoch),
            "the lease was lost"
        );
        Abandon(_open.Where(x => x.Value.Endpoint.GoneFor > ConsumerGoneLimit), "its consumer is gone, opened anew");

        foreach (var (lane, epoch) in held.Where(x => !_open.ContainsKey(x.Key) && !_leaving.ContainsKey(x.Key)))
        {
            _open[lane] = (new LaneEndpoint(lane, options, _handlers, applier, announcer, bus, clock, logger), epoch);
            metrics.Taken();
            LaneLog.LaneTaken(logger, lane, epoch);
        }

        foreach (var lane in _open.Keys.Order().Take(handOver - _leaving.Keys.Count(held.ContainsKey)).ToArray())
            _leaving[lane] = HandOverAsync(lane, "others hold fewer");
    }

    private async Task HandOverAsync(int lane, string reason)
    {
        _open.Remove(lane, out var held);
        metrics.Left();
        await held.Endpoint.DrainAsync();
        try
        {
            await leases.ReleaseAsync(lane, CancellationToken.None);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LaneLog.LeaseNotRenewed(logger, e.Message); // The lease ends by itself.
        }

        LaneLog.LaneReleased(logger, lane, reason);
    }

    private void Abandon(IEnumerable<KeyValuePair<int, (LaneEndpoint Endpoint, long Epoch)>> lanes, string reason)
    {
        foreach (var (lane, held) in lanes.ToArray())
        {
            _open.Remove(lane);
            metrics.Left();
            _leaving[lane] = held.Endpoint.AbandonAsync();
            LaneLog.LaneReleased(logger, lane, reason);
        }
    }

    private async Task RenewWhileDrainingAsync(CancellationToken drained)
    {
        using var timer = new PeriodicTimer(options.RenewEvery, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(drained))
                await leases.RenewAsync(drained);
        }
        catch (OperationCanceledException) when (drained.IsCancellationRequested)
        {
            // Drained.
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LaneLog.LeaseNotRenewed(logger, e.Message);
        }
    }
}
