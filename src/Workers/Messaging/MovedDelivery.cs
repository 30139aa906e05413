using System.Diagnostics.CodeAnalysis;
using MassTransit;
using MassTransit.Context;
using MassTransit.Middleware.Rescue;
using MassTransit.RabbitMqTransport;
using RabbitMQ.Client;

namespace Pipeline.Workers.Messaging;

/// <summary>
/// Properties of a message on its way to the dead letters. The sender's <c>user_id</c> goes: the broker refuses a
/// message whose user is not the one that publishes it, and closes the channel with all its consumers (406), again with
/// each delivery. The time limit goes: a dead letter waits for a person.
/// </summary>
/// <remarks>MassTransit 8.5.12, RabbitMqMoveTransport: it copies what this context gives it.</remarks>
internal static class MovedProperties
{
    public static IReadOnlyBasicProperties Of(IReadOnlyBasicProperties original)
    {
        var properties = new BasicProperties(original);
        properties.ClearUserId();
        properties.ClearExpiration();
        return properties;
    }
}

/// <summary>A message that failed, as it is moved to the dead letters.</summary>
internal sealed class FailedDelivery(ExceptionReceiveContext failed)
    : RescueExceptionReceiveContext(failed, failed.Exception),
        RabbitMqBasicConsumeContext
{
    private readonly RabbitMqBasicConsumeContext _delivery = failed.GetPayload<RabbitMqBasicConsumeContext>();

    public string Exchange => _delivery.Exchange;

    public string RoutingKey => _delivery.RoutingKey ?? "";

    public string ConsumerTag => _delivery.ConsumerTag;

    public ulong DeliveryTag => _delivery.DeliveryTag;

    public IReadOnlyBasicProperties Properties { get; } =
        MovedProperties.Of(failed.GetPayload<RabbitMqBasicConsumeContext>().Properties);

    public override bool TryGetPayload<TPayload>([NotNullWhen(true)] out TPayload? payload)
        where TPayload : class
    {
        payload = this as TPayload; // What this is comes before what the original is.
        return payload is not null || base.TryGetPayload(out payload);
    }
}

/// <summary>A message that no consumer wanted, as it is moved to the dead letters.</summary>
internal sealed class UnwantedDelivery(ReceiveContext unwanted)
    : ReceiveContextProxy(unwanted),
        RabbitMqBasicConsumeContext
{
    private readonly RabbitMqBasicConsumeContext _delivery = unwanted.GetPayload<RabbitMqBasicConsumeContext>();

    public string Exchange => _delivery.Exchange;

    public string RoutingKey => _delivery.RoutingKey ?? "";

    public string ConsumerTag => _delivery.ConsumerTag;

    public ulong DeliveryTag => _delivery.DeliveryTag;

    public IReadOnlyBasicProperties Properties { get; } =
        MovedProperties.Of(unwanted.GetPayload<RabbitMqBasicConsumeContext>().Properties);

    public override bool TryGetPayload<TPayload>([NotNullWhen(true)] out TPayload? payload)
        where TPayload : class
    {
        payload = this as TPayload; // What this is comes before what the original is.
        return payload is not null || base.TryGetPayload(out payload);
    }
}
