using System.Diagnostics.CodeAnalysis;
using MassTransit;
using MassTransit.Context;
using MassTransit.Middleware.Rescue;
using MassTransit.RabbitMqTransport;
using RabbitMQ.Client;

namespace Pipeline.Workers.Messaging;

/// <summary>A message as it is moved to the dead letters.</summary>
/// <remarks>MassTransit 8.5.12, RabbitMqMoveTransport: it copies the properties that this payload gives it.</remarks>
internal sealed class MovedMessage(RabbitMqBasicConsumeContext delivery) : RabbitMqBasicConsumeContext
{
    public string Exchange => delivery.Exchange;

    public string RoutingKey => delivery.RoutingKey ?? "";

    public string ConsumerTag => delivery.ConsumerTag;

    public ulong DeliveryTag => delivery.DeliveryTag;

    public IReadOnlyBasicProperties Properties { get; } = PropertiesOf(delivery.Properties);

    /// <summary>
    /// Properties without the sender's <c>user_id</c>, because the broker refuses a message whose user is not the one
    /// that publishes it, and closes the channel with all its consumers (406). And without the time limit, because a
    /// dead letter stays until a person handles it.
    /// </summary>
    public static BasicProperties PropertiesOf(IReadOnlyBasicProperties original)
    {
        var properties = new BasicProperties(original);
        properties.ClearUserId();
        properties.ClearExpiration();
        return properties;
    }
}

/// <summary>A message that failed, as it is moved to the dead letters.</summary>
internal sealed class FailedDelivery(ExceptionReceiveContext failed)
    : RescueExceptionReceiveContext(failed, failed.Exception)
{
    private readonly MovedMessage _moved = new(failed.GetPayload<RabbitMqBasicConsumeContext>());

    public override bool TryGetPayload<TPayload>([NotNullWhen(true)] out TPayload? payload)
        where TPayload : class
    {
        payload = _moved as TPayload;
        return payload is not null || base.TryGetPayload(out payload);
    }
}

/// <summary>A message that no consumer wanted, as it is moved to the dead letters.</summary>
internal sealed class UnwantedDelivery(ReceiveContext unwanted) : ReceiveContextProxy(unwanted)
{
    private readonly MovedMessage _moved = new(unwanted.GetPayload<RabbitMqBasicConsumeContext>());

    public override bool TryGetPayload<TPayload>([NotNullWhen(true)] out TPayload? payload)
        where TPayload : class
    {
        payload = _moved as TPayload;
        return payload is not null || base.TryGetPayload(out payload);
    }
}
