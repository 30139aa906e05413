using MassTransit;

namespace Pipeline.Workers.Lanes;

/// <summary>What a delivery's headers say about its past.</summary>
internal static class DeliveryHeaders
{
    /// <summary>Set by the publisher's replay: how often a person has sent the message again from the dead letters.</summary>
    public const string ReplayCount = "x-replay-count";

    // Set by quorum queues from the second delivery on (RabbitMQ, "Quorum queues", poison message handling).
    private const string DeliveryCount = "x-delivery-count";

    public static int Replays(ReceiveContext delivery) => Number(delivery, ReplayCount);

    public static int Redeliveries(ReceiveContext delivery) => Number(delivery, DeliveryCount);

    private static int Number(ReceiveContext delivery, string header) =>
        delivery.TransportHeaders.TryGetHeader(header, out var value)
        && long.TryParse(value.ToString(), out var number)
        && number is > 0 and <= int.MaxValue
            ? (int)number
            : 0;
}
