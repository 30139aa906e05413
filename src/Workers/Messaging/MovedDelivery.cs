using System.Diagnostics.CodeAnalysis;
using MassTransit;
using MassTransit.Context;
using MassTransit.Middleware.Rescue;
using MassTransit.RabbitMqTransport;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Workers.Messaging;

/// <summary>A message as it is moved to the dead letters.</summary>
/// <remarks>MassTransit 8.5.12, RabbitMqMoveTransport: it copies the properties that this payload gives it.</remarks>
internal sealed class MovedMessage(ReceiveContext context, RabbitMqBasicConsumeContext delivery)
    : RabbitMqBasicConsumeContext
{
    public string Exchange => delivery.Exchange;

    public string RoutingKey => delivery.RoutingKey ?? "";

    public string ConsumerTag => delivery.ConsumerTag;

    public ulong DeliveryTag => delivery.DeliveryTag;

    public IReadOnlyBasicProperties Properties { get; } = PropertiesOf(Delivery.Of(context));

    /// <summary>
    /// Properties without the sender's <c>user_id</c>, because the broker refuses a message whose user is not the one
    /// that publishes it, and closes the channel with all its consumers (406); a header keeps the sender for a replay.
    /// And without the time limit, because a dead letter stays until a person handles it.
    /// </summary>
    public static BasicProperties PropertiesOf(Delivery delivery)
    {
        var headers = delivery.Properties.Headers ?? new Dictionary<string, object?>(StringComparer.Ordinal);
        var properties = new BasicProperties(delivery.Properties)
        {
            Headers = new Dictionary<string, object?>(headers, StringComparer.Ordinal),
        };
        properties.Headers.Remove(WireNames.SenderHeader);
        if (delivery.Sender is { } sender)
            properties.Headers[WireNames.SenderHeader] = sender;
        properties.ClearUserId();
        properties.ClearExpiration();
        return properties;
    }
}

/// <summary>A message that failed, as it is moved to the dead letters.</summary>
internal sealed class FailedDelivery(ExceptionReceiveContext failed)
    : RescueExceptionReceiveContext(failed, failed.Exception)
{
    private readonly MovedMessage _moved = new(failed, failed.GetPayload<RabbitMqBasicConsumeContext>());

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
    private readonly MovedMessage _moved = new(unwanted, unwanted.GetPayload<RabbitMqBasicConsumeContext>());

    public override bool TryGetPayload<TPayload>([NotNullWhen(true)] out TPayload? payload)
        where TPayload : class
    {
        payload = _moved as TPayload;
        return payload is not null || base.TryGetPayload(out payload);
    }
}
