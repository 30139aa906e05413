using System.Threading.Channels;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Lanes;

/// <summary>Opens links to lanes' queues.</summary>
internal interface ILaneLinks
{
    /// <summary>Connects and begins to consume a lane's queue. Call it again after any error.</summary>
    /// <param name="lane">From 0 to the lane count less one.</param>
    /// <param name="prefetch">Messages that the broker delivers before the first one is acknowledged, from 1.</param>
    /// <param name="cancellation">Ends the attempt; nothing stays open.</param>
    /// <exception cref="Exception">The broker cannot be reached, refuses the login, or has no such queue.</exception>
    Task<ILaneLink> OpenAsync(int lane, ushort prefetch, CancellationToken cancellation);

    /// <summary>Asks whether the broker can be reached at all.</summary>
    Task<bool> CanConnectAsync(CancellationToken cancellation);
}

/// <summary>One connection with one channel that consumes one lane's queue, from its opening to its loss or close.</summary>
/// <remarks>
/// A link never cancels its consumer and never returns single messages: the queue takes back what is unacknowledged, in
/// its order, when the channel ends. Disposing it ends the connection at once, whatever its state, and does not throw.
/// </remarks>
internal interface ILaneLink : IAsyncDisposable
{
    /// <summary>Deliveries in the order of their tags, without a gap. Completed when the link is lost.</summary>
    ChannelReader<Delivery> Deliveries { get; }

    /// <summary>
    /// Cancelled as soon as the link is known to be lost: nothing may be begun after that. The broker delivers
    /// everything unacknowledged again, here or elsewhere.
    /// </summary>
    CancellationToken Lost { get; }

    /// <summary>Why the link was lost; null while it is open.</summary>
    LinkLoss? Loss { get; }

    /// <summary>Acknowledges a delivery and all before it.</summary>
    /// <param name="upTo">The tag of the last delivery whose effect is committed and whose messages are confirmed.</param>
    /// <param name="cancellation">Ends the wait for room in the socket.</param>
    Task AcknowledgeAsync(ulong upTo, CancellationToken cancellation);

    /// <summary>Closes channel and connection. The queue then takes back what is unacknowledged.</summary>
    /// <returns>
    /// True once the broker has confirmed the close. False where it did not within the limit: the broker may still take
    /// this consumer for the active one.
    /// </returns>
    Task<bool> CloseAsync();
}

/// <summary>Why a link was lost.</summary>
/// <param name="Reason">For the log.</param>
/// <param name="IsTooMuchData">True where the deliveries at hand exceed the lane's memory limit.</param>
internal sealed record LinkLoss(string Reason, bool IsTooMuchData = false);

/// <summary>A lane's link was lost; the lane opens another one.</summary>
internal sealed class LinkLostException(LinkLoss loss) : Exception($"The link is lost: {loss.Reason}")
{
    public LinkLoss Loss => loss;
}
