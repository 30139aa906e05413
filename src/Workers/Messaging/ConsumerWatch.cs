using MassTransit;

namespace Pipeline.Workers.Messaging;

/// <summary>Knows for how long an endpoint has had no consumer on its queue.</summary>
/// <remarks>For the endpoints of lanes. Work queues have <see cref="ConsumerGuard"/>, which trusts no event alone.</remarks>
internal sealed class ConsumerWatch(TimeProvider clock) : IReceiveEndpointObserver
{
    private const long Present = -1;

    private long _goneAt = clock.GetTimestamp();

    /// <summary>Zero while there is a consumer; before the first one it counts from the start.</summary>
    public TimeSpan GoneFor =>
        Volatile.Read(ref _goneAt) is var at and not Present ? clock.GetElapsedTime(at) : TimeSpan.Zero;

    public Task Ready(ReceiveEndpointReady ready)
    {
        Volatile.Write(ref _goneAt, Present);
        return Task.CompletedTask;
    }

    public Task Completed(ReceiveEndpointCompleted completed) => Gone();

    public Task Faulted(ReceiveEndpointFaulted faulted) => Gone();

    public Task Stopping(ReceiveEndpointStopping stopping) => Task.CompletedTask;

    // The first word counts: one failed attempt after the other does not begin anew.
    private Task Gone()
    {
        Interlocked.CompareExchange(ref _goneAt, clock.GetTimestamp(), Present);
        return Task.CompletedTask;
    }
}
