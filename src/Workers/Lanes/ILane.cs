using Pipeline.Wire;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Where a lane of this worker stands. It moves forward, except for a lost link: Consuming → Opening.
/// </summary>
internal enum LaneState
{
    /// <summary>A link to the queue is being opened.</summary>
    Opening,

    /// <summary>The queue is consumed.</summary>
    Consuming,

    /// <summary>Nothing new is read; the batch in work is finished and the link is closed.</summary>
    Leaving,

    /// <summary>Nothing of this lane runs here any more.</summary>
    Gone,
}

/// <summary>A lane as the balancer sees it.</summary>
internal interface ILane
{
    /// <summary>From 0 to the lane count less one.</summary>
    int Number { get; }

    /// <summary>
    /// True while the lane waits for deliveries on an open link, or has made progress within its limit. Only then is
    /// its lease renewed.
    /// </summary>
    bool IsAlive { get; }

    /// <summary>Where it stands.</summary>
    LaneState State { get; }

    /// <summary>Finishes the batch in work and closes the link.</summary>
    /// <returns>
    /// True once the broker has confirmed the close, so that the lease may be released. False where that was not seen
    /// within the limit: the lease must run out.
    /// </returns>
    Task<bool> LeaveAsync();

    /// <summary>Stops at once because the lease is lost. The lease must not be released.</summary>
    Task AbandonAsync();
}

/// <summary>Applies a batch of deliveries.</summary>
internal interface ILaneWork
{
    /// <summary>Decides every delivery and commits: effect, receipts, versions.</summary>
    /// <returns>What has to be published before the batch is acknowledged: events and dead letters, in order.</returns>
    /// <exception cref="Exception">Nothing may be acknowledged; the broker delivers the batch again.</exception>
    Task<IReadOnlyList<WireMessage>> ApplyAsync(int lane, IReadOnlyList<Delivery> batch, CancellationToken given);
}

/// <summary>Publishes what a batch has led to.</summary>
internal interface ILanePublisher
{
    /// <summary>Publishes the messages in order and returns once the broker has confirmed all of them.</summary>
    Task PublishAsync(int lane, IReadOnlyList<WireMessage> messages, CancellationToken given);
}
