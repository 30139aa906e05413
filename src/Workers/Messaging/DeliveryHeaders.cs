using MassTransit;

namespace Pipeline.Workers.Messaging;

/// <summary>What a delivery's headers say about its past.</summary>
internal static class DeliveryHeaders
{
    /// <summary>Set by the publisher's replay: how often a person has sent the message again from the dead letters.</summary>
    public const string ReplayCount = "x-replay-count";

    // Set by quorum queues from the second delivery on (RabbitMQ, "Quorum queues", poison message handling). From 4.3
    // on the first one counts only some returns, and the second one every delivery.
    private const string DeliveryCount = "x-delivery-count";
    private const string AcquiredCount = "x-acquired-count";

    public static int Replays(ReceiveContext delivery) =>
        delivery.TransportHeaders.TryGetHeader(ReplayCount, out var value) ? Number(value.ToString()) : 0;

    /// <inheritdoc cref="ReplayCount"/>
    public static int Replays(Delivery delivery) => Number(delivery.Header(ReplayCount));

    /// <summary>How often the broker has delivered the message before without an answer.</summary>
    public static int Redeliveries(Delivery delivery) =>
        Math.Max(Number(delivery.Header(DeliveryCount)), Number(delivery.Header(AcquiredCount)));

    private static int Number(string? text) =>
        long.TryParse(text, out var number) && number is > 0 and <= int.MaxValue ? (int)number : 0;
}
