using System.Threading.Channels;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Lanes;

/// <summary>How many of the deliveries at hand go into one transaction.</summary>
internal static class LaneBatch
{
    /// <summary>
    /// From this many redeliveries on, a message is a suspect: it, or one beside it, may have ended its worker. One
    /// redelivery is common, for instance after a lost connection.
    /// </summary>
    public const int SuspectAfterRedeliveries = 2;

    /// <summary>With each further redelivery the batch of a suspect shrinks to a quarter, down to the message alone.</summary>
    public const int SuspectDivisor = 4;

    /// <summary>Takes deliveries in order, as many as one transaction may hold.</summary>
    /// <param name="deliveries">What is at hand.</param>
    /// <param name="limit">Of a batch without suspects, from 1.</param>
    /// <returns>An empty list where nothing is at hand.</returns>
    public static List<Delivery> Take(ChannelReader<Delivery> deliveries, int limit)
    {
        var batch = new List<Delivery>();
        var smallest = limit;
        while (deliveries.TryPeek(out var next))
        {
            smallest = Math.Min(smallest, LimitOf(DeliveryHeaders.Redeliveries(next), limit));
            if (batch.Count >= smallest || !deliveries.TryRead(out next))
                break;
            batch.Add(next);
        }

        return batch;
    }

    /// <summary>How large a batch with a message of so many redeliveries may be.</summary>
    public static int LimitOf(int redeliveries, int limit)
    {
        for (var i = redeliveries; i >= SuspectAfterRedeliveries && limit > 1; i--)
            limit /= SuspectDivisor;
        return Math.Max(1, limit);
    }
}
