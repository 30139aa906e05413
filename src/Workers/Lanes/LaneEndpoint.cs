using MassTransit;
using MassTransit.Middleware;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using RabbitMQ.Client;

namespace Pipeline.Workers.Lanes;

/// <summary>The consumer of one lane, for as long as this process holds its lease.</summary>
internal sealed class LaneEndpoint
{
    // Long enough for a delivery that is still being read; a handover waits for it only when one was dropped.
    private static readonly TimeSpan StuckLimit = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(50);

    private readonly int _lane;
    private readonly LaneOptions _options;
    private readonly IReadOnlyCollection<ILaneHandler> _handlers;
    private readonly ILogger _logger;
    private readonly LanePlaceFilter _place;
    private readonly ConsumerWatch _watch;
    private readonly HostReceiveEndpointHandle _handle;

    public LaneEndpoint(
        int lane,
        LaneOptions options,
        IReadOnlyCollection<ILaneHandler> handlers,
        LaneApplier applier,
        LaneAnnouncer announcer,
        IReceiveEndpointConnector bus,
        TimeProvider clock,
        ILogger logger
    )
    {
        _watch = new ConsumerWatch(clock);
        _lane = lane;
        _options = options;
        _handlers = handlers;
        _logger = logger;
        _place = new LanePlaceFilter(channel => new LaneSequencer(
            lane,
            options.BatchLimit,
            applier,
            announcer,
            () => ObserveAsync(channel.AbortAsync(CancellationToken.None)),
            logger
        ));
        _handle = bus.ConnectReceiveEndpoint(WireNames.LaneQueue(lane), (_, endpoint) => Configure(endpoint));
    }

    /// <summary>For how long the lane has had no consumer here, though its lease is held.</summary>
    public TimeSpan GoneFor => _watch.GoneFor;

    /// <summary>Finishes what is at hand and leaves the queue. The lease must be held until this ends.</summary>
    public async Task DrainAsync()
    {
        using var limit = new CancellationTokenSource(_options.DrainLimit);
        var stopping = _handle.StopAsync(limit.Token);
        var stuckFor = TimeSpan.Zero;
        while (!stopping.IsCompleted && stuckFor < StuckLimit && !limit.IsCancellationRequested)
        {
            await Task.WhenAny(stopping, Task.Delay(LookEvery, CancellationToken.None));
            stuckFor = _place.Latest is { IsStuck: true } ? stuckFor + LookEvery : TimeSpan.Zero;
        }

        if (!stopping.IsCompleted && _place.Latest is { } latest)
            await latest.GiveUpAsync();
        await ObserveAsync(stopping);
    }

    /// <summary>Leaves at once, because the lease is lost. The broker delivers what is unanswered to the next holder.</summary>
    public async Task AbandonAsync()
    {
        if (_place.Latest is { } latest)
            await latest.GiveUpAsync();
        using var limit = new CancellationTokenSource(_options.DrainLimit);
        await ObserveAsync(_handle.StopAsync(limit.Token));
    }

    private async Task ObserveAsync(Task closing)
    {
        try
        {
            await closing;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The lane is left either way: its channel is closed, and the lease ends.
            LaneLog.LaneStopFailed(_logger, _lane, e.Message);
        }
    }

    private void Configure(IReceiveEndpointConfigurator endpoint)
    {
        var queue = (IRabbitMqReceiveEndpointConfigurator)endpoint;
        LaneTopology.Configure(queue);
        queue.PrefetchCount = _options.Prefetch;
        queue.ConfigureConsumeTopology = false;
        queue.PublishFaults = false; // The receipt and its event say it, in every language.

        endpoint.ConnectReceiveEndpointObserver(_watch);

        var unreadable = new LaneUnreadableFilter(_lane, _logger);
        queue.ConfigureReceive(x => x.UseFilter(_place));
        queue.ConfigureError(x =>
        {
            x.UseFilter(unreadable);
            x.UseFilter(new ErrorTransportFilter());
        });
        queue.ConfigureDeadLetter(x =>
        {
            x.UseFilter(unreadable);
            x.UseFilter(new DeadLetterTransportFilter());
        });

        foreach (var handler in _handlers)
        {
            var connect = typeof(LaneEndpoint).GetMethod(
                nameof(Consume),
                System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Static
            )!;
            connect.MakeGenericMethod(handler.CommandType).Invoke(obj: null, [queue, handler]);
        }
    }

    private static void Consume<T>(IReceiveEndpointConfigurator endpoint, ILaneHandler handler)
        where T : class, Contracts.ILaneCommand => endpoint.Consumer(() => new LaneConsumer<T>(handler));
}
