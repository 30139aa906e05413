namespace Pipeline.Workers.Lanes;

/// <summary>
/// Holds this worker's share of the lanes: takes free ones, hands over what is too many, and stops those whose lease is
/// lost.
/// </summary>
/// <remarks>
/// RabbitMQ's single active consumer keeps two processes from reading one lane at once, but gives every lane to whoever
/// came first. The leases spread the lanes over the workers. A lease may be wrong at any moment: what keeps order and
/// effect are the single active consumer and the row locks with the receipts (ADR 9, I2).
/// </remarks>
internal sealed class LaneBalancer(
    ILaneLeases leases,
    LaneOptions options,
    Func<int, ILane> open,
    ILaneLinks links,
    LaneMetrics metrics,
    TimeProvider clock,
    ILogger<LaneBalancer> logger
) : BackgroundService
{
    private readonly Dictionary<int, LaneTenure> _open = [];
    private readonly Dictionary<int, LaneTenure> _leaving = [];
    private readonly BrokerReach _broker = new(links, logger);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.RenewEvery, clock);
        try
        {
            do
            {
                timer.Period = await TickAsync(stoppingToken);
            } while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops in order; StopAsync hands the lanes over.
        }
    }

    /// <summary>Finishes the batches in work and frees the lanes, so that others need not wait for the leases' end.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        foreach (var lane in _open.Keys.ToArray())
            HandOver(lane, "the worker stops");

        using var timer = new PeriodicTimer(options.RenewEvery, clock);
        var left = Task.WhenAll(_leaving.Values.Select(x => x.Left));
        while (!left.IsCompleted)
        {
            await Task.WhenAny(left, timer.WaitForNextTickAsync(CancellationToken.None).AsTask());
            if (!left.IsCompleted)
                await RenewLeavingAsync(cancellationToken);
        }

        try
        {
            await leases.LeaveAsync(cancellationToken).WaitAsync(options.LeaseLength, clock, cancellationToken);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LaneLog.LeaseNotRenewed(logger, e.Message); // The leases end by themselves.
        }
    }

    /// <summary>One turn; a test calls it directly.</summary>
    /// <returns>How long until the next one.</returns>
    internal async Task<TimeSpan> TickAsync(CancellationToken cancellation)
    {
        await ForgetLeftAsync();
        _broker.Look(_open.Values.Any(x => x.Lane is { State: LaneState.Opening, IsAlive: false }), cancellation);
        foreach (var stuck in _open.Values.Where(x => !x.Lane.IsAlive))
            LaneLog.LaneStuck(logger, stuck.Lane.Number, stuck.Lane.State);

        var startedAt = clock.GetTimestamp();
        try
        {
            using var limit = new CancellationTokenSource(options.LeaseLength, clock);
            using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellation, limit.Token);
            var balance = await leases
                .BalanceAsync(LaneTenure.Alive(_open, _leaving), _broker.CanReach, linked.Token)
                .WaitAsync(options.LeaseLength, clock, cancellation);
            Follow(balance, startedAt);
            return balance.NextTurn(options.RenewEvery);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested && e is not OutOfMemoryException)
        {
            LaneLog.LeaseNotRenewed(logger, e.Message); // Each lane stops by its own timer when its lease ends.
            return options.RenewEvery;
        }
    }

    private void Follow(LaneBalance balance, long startedAt)
    {
        foreach (var tenure in _open.Values.Concat(_leaving.Values).ToArray())
        {
            // A lane with another epoch was lost and taken again in between.
            if (balance.Held.TryGetValue(tenure.Lane.Number, out var epoch) && epoch == tenure.Epoch)
                tenure.Extend(options.LeaseLength, startedAt);
            else
                Abandon(tenure, "the lease was lost");
        }

        foreach (
            var (lane, epoch) in balance.Held.Where(x => !_open.ContainsKey(x.Key) && !_leaving.ContainsKey(x.Key))
        )
        {
            var tenure = new LaneTenure(open(lane), epoch, clock, x => Abandon(x, "the lease has ended unrenewed"));
            tenure.Extend(options.LeaseLength, startedAt);
            _open[lane] = tenure;
            metrics.Taken();
            LaneLog.LaneTaken(logger, lane, epoch);
        }

        var leaving = _leaving.Keys.Count(balance.Held.ContainsKey);
        foreach (var lane in _open.Keys.Order().Take(balance.HandOver - leaving).ToArray())
            HandOver(lane, "others hold fewer");
    }

    private void HandOver(int lane, string reason)
    {
        _open.Remove(lane, out var tenure);
        _leaving[lane] = tenure!;
        tenure!.Left = HandOverAsync(tenure, reason);
    }

    private async Task HandOverAsync(LaneTenure tenure, string reason)
    {
        var lane = tenure.Lane.Number;
        if (await tenure.Lane.LeaveAsync() && tenure.Abandoned is null)
        {
            try
            {
                await leases
                    .ReleaseAsync(lane, tenure.Epoch, CancellationToken.None)
                    .WaitAsync(options.LeaseLength, clock, CancellationToken.None);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                LaneLog.LeaseNotRenewed(logger, e.Message); // The lease ends by itself.
            }
        }

        LaneLog.LaneReleased(logger, lane, reason);
    }

    // On a timer's thread, too.
    private void Abandon(LaneTenure tenure, string reason)
    {
        if (tenure.TryAbandon())
            LaneLog.LaneReleased(logger, tenure.Lane.Number, reason);
    }

    /// <summary>Moves abandoned lanes to the leaving ones, and forgets those that are gone.</summary>
    private async Task ForgetLeftAsync()
    {
        foreach (var (lane, tenure) in _open.Where(x => x.Value.Abandoned is not null).ToArray())
        {
            _open.Remove(lane);
            _leaving[lane] = tenure;
            tenure.Left = tenure.Abandoned!;
        }

        foreach (var (lane, tenure) in _leaving.Where(x => x.Value.Left.IsCompleted).ToArray())
        {
            await tenure.Left;
            _leaving.Remove(lane);
            metrics.Left();
            await tenure.DisposeAsync();
        }
    }

    private async Task RenewLeavingAsync(CancellationToken cancellation)
    {
        var startedAt = clock.GetTimestamp();
        try
        {
            var renewing = leases.RenewAsync(LaneTenure.Alive(_open, _leaving), cancellation);
            var held = await renewing.WaitAsync(options.LeaseLength, clock, cancellation);
            foreach (var tenure in _leaving.Values.Where(x => !x.Left.IsCompleted))
            {
                if (held.TryGetValue(tenure.Lane.Number, out var epoch) && epoch == tenure.Epoch)
                    tenure.Extend(options.LeaseLength, startedAt);
                else
                    Abandon(tenure, "the lease was lost");
            }
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            LaneLog.LeaseNotRenewed(logger, e.Message); // Tried again at the next turn.
        }
    }
}
