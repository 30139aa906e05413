using System.Collections.Concurrent;
using MassTransit;

namespace Pipeline.Workers.Messaging;

/// <summary>
/// Ends a worker one of whose work queues has been without its consumer for too long, so that a fresh process takes its
/// place. (Lanes are opened anew by their balancer.)
/// </summary>
internal sealed partial class ConsumerGuard(
    IHostApplicationLifetime host,
    TimeProvider clock,
    ILogger<ConsumerGuard> logger
) : BackgroundService
{
    // MassTransit tries again after a second, then ever later, up to this; a broker that is away is no reason to end.
    private static readonly TimeSpan GoneLimit = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, ConsumerWatch> _watches = new(StringComparer.Ordinal);

    /// <summary>The queue that ended this worker; null while all is well.</summary>
    public string? Lost { get; private set; }

    /// <summary>Watches over a work queue's endpoint.</summary>
    public void Watch(string queue, IReceiveEndpointConfigurator endpoint) =>
        endpoint.ConnectReceiveEndpointObserver(_watches.GetOrAdd(queue, _ => new ConsumerWatch(clock)));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(LookEvery, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                Look();
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops in order.
        }
    }

    private void Look()
    {
        // As long as no queue has its consumer, the broker is away, and MassTransit goes on trying.
        if (Lost is not null || _watches.Values.All(x => x.GoneFor > TimeSpan.Zero))
            return;
        if (_watches.FirstOrDefault(x => x.Value.GoneFor > GoneLimit) is not { Key: { } queue })
            return;

        Lost = queue;
        ConsumerLost(queue, GoneLimit);
        host.StopApplication();
    }

    [LoggerMessage(
        Level = LogLevel.Critical,
        Message = "Queue {Queue} has had no consumer here for {Limit}, though the broker is there: this worker ends"
    )]
    private partial void ConsumerLost(string queue, TimeSpan limit);
}
