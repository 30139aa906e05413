using System.Globalization;
using MassTransit;
using MassTransit.RabbitMqTransport;
using MassTransit.Util;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Messaging;
using RabbitMQ.Client;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// A lane's dead letters, in the form that MassTransit gives to those of every other queue: the message as it came,
/// with headers that say what failed. The publisher reads both alike.
/// </summary>
/// <remarks>
/// MassTransit 8.5: SendContextExtensions <c>SetExceptionHeaders</c>, RabbitMqMoveTransport <c>Move</c>, and
/// DeadLetterTransportFilter. A crash after the publish and before the acknowledgement leads to a second dead letter
/// with the same message id.
/// </remarks>
internal static class LaneDeadLetters
{
    // What the broker said about deliveries of the original is not true of its copy.
    private static readonly string[] OfTheDelivery = ["x-delivery-count", "x-acquired-count"];

    /// <summary>A message that could not be read, or a command that failed.</summary>
    /// <param name="queue">The lane's.</param>
    /// <param name="broker">For the address of the queue.</param>
    /// <param name="delivery">The message.</param>
    /// <param name="error">What failed.</param>
    /// <param name="at">When, UTC.</param>
    /// <param name="message">The command's type; null for a message that could not be read.</param>
    public static WireMessage Fault(
        string queue,
        Uri broker,
        Delivery delivery,
        Exception error,
        DateTimeOffset at,
        Type? message = null
    )
    {
        var cause = error.GetBaseException();
        return Copy(
            WireNames.ErrorQueue(queue),
            delivery,
            headers =>
            {
                headers.Set(MessageHeaders.Reason, "fault");
                headers.Set(MessageHeaders.FaultExceptionType, TypeCache.GetShortName(cause.GetType()));
                headers.Set(MessageHeaders.FaultInputAddress, $"rabbitmq://{broker.Host}{broker.AbsolutePath}/{queue}");
                headers.Set(MessageHeaders.FaultMessage, ExceptionUtil.GetMessage(cause));
                headers.Set(MessageHeaders.FaultTimestamp, at.UtcDateTime.ToString("O", CultureInfo.InvariantCulture));
                headers.Set(MessageHeaders.FaultStackTrace, ExceptionUtil.GetStackTrace(cause));
                if (message is not null)
                {
                    headers.Set(MessageHeaders.FaultMessageType, TypeCache.GetShortName(message));
                    headers.Set(MessageHeaders.FaultConsumerType, TypeCache.GetShortName(typeof(LaneWork)));
                }

                // Where the message lies then, another exchange led.
                if (MessageCatalog.TryFind(delivery.Exchange, out _))
                    headers.Set(WireNames.ExchangeHeader, delivery.Exchange);
            }
        );
    }

    /// <summary>A known message that is no lane command.</summary>
    public static WireMessage Skipped(string queue, Delivery delivery) =>
        Copy(WireNames.SkippedQueue(queue), delivery, headers => headers.Set(MessageHeaders.Reason, "dead-letter"));

    private static WireMessage Copy(string exchange, Delivery delivery, Action<SendHeaders> set)
    {
        var properties = MovedMessage.PropertiesOf(delivery);
        foreach (var name in OfTheDelivery)
            properties.Headers!.Remove(name);
        var headers = new MoveTransportHeaders(properties);
        headers.SetHostHeaders();
        set(headers);
        return new WireMessage(
            exchange,
            delivery.RoutingKey,
            delivery.MessageId ?? Guid.Empty,
            delivery.Body,
            Mandatory: true
        )
        {
            Properties = properties,
            NamesSender = false,
        };
    }
}
