using System.Text;
using MassTransit;
using MassTransit.RabbitMqTransport;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Workers.Messaging;

/// <summary>A message as the broker delivered it, whichever library received it.</summary>
/// <param name="Queue">The queue that it came out of.</param>
/// <param name="Tag">The delivery tag: 1 for the first delivery of a channel, then one more for each.</param>
/// <param name="Exchange">The exchange that the message was published to, or last dead-lettered to.</param>
/// <param name="RoutingKey">As published.</param>
/// <param name="Properties">AMQP properties and headers.</param>
/// <param name="Body">Owned by this record: it stays valid after the client's callback has returned.</param>
internal sealed record Delivery(
    string Queue,
    ulong Tag,
    string Exchange,
    string RoutingKey,
    IReadOnlyBasicProperties Properties,
    ReadOnlyMemory<byte> Body
)
{
    /// <summary>The message's own id; null where it has none, or one that is no UUID.</summary>
    public Guid? MessageId => Guid.TryParse(Properties.MessageId, out var id) ? id : null;

    /// <summary>
    /// True where the message was put into this queue and no other: through the queue's own exchange, as a replay is,
    /// or through the default exchange, as an administrator's tools do. Foreign services may write to neither.
    /// </summary>
    public bool IsAddressedToQueue => Exchange.Length == 0 || Exchange == WireNames.ExchangeTo(Queue);

    /// <summary>
    /// The broker's user who has sent the message, as the broker has checked it (RabbitMQ, "Validated User-ID"). Of
    /// what publisher and workers send, the one who sent it first, which a replay's header says. Null where nobody is
    /// named.
    /// </summary>
    public string? Sender => SenderRole == SenderRole.Foreign ? Properties.UserId : Header(WireNames.SenderHeader);

    /// <summary>A message that MassTransit received.</summary>
    public static Delivery Of(ReceiveContext context)
    {
        if (context.TryGetPayload<Delivery>(out var known))
            return known;
        var amqp = context.GetPayload<RabbitMqBasicConsumeContext>();
        return new Delivery(
            context.InputAddress.Segments[^1],
            amqp.DeliveryTag,
            amqp.Exchange,
            amqp.RoutingKey ?? "",
            amqp.Properties,
            context.Body.GetBytes() // MassTransit has copied the body already; this does not copy it again.
        );
    }

    /// <summary>Who sent it; foreign until <see cref="KnownBy"/> has looked.</summary>
    public SenderRole SenderRole { get; private init; }

    /// <summary>
    /// As this installation knows its origin: as if it had come through its message's exchange, where a client's own
    /// exchange is registered for that, and with its sender.
    /// </summary>
    public Delivery Through(MessagingOptions messaging) =>
        KnownBy(messaging) with
        {
            Exchange = messaging.ClientExchanges.GetValueOrDefault(Exchange, Exchange),
        };

    /// <summary>With its sender alone.</summary>
    public Delivery KnownBy(MessagingOptions messaging) =>
        this with
        {
            SenderRole = messaging.RoleOf(Properties.UserId),
        };

    /// <summary>A header as text; null where there is none.</summary>
    public string? Header(string name) =>
        Properties.Headers is { } headers && headers.TryGetValue(name, out var value)
            ? value switch
            {
                null => null,
                byte[] bytes => Encoding.UTF8.GetString(bytes),
                _ => value.ToString(),
            }
            : null;
}
