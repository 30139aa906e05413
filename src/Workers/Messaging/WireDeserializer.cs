using System.Net.Mime;
using System.Text.Json;
using MassTransit;
using MassTransit.Serialization;
using Pipeline.Wire;

namespace Pipeline.Workers.Messaging;

/// <summary>Lets MassTransit's endpoints read messages as <see cref="MessageReader"/> does.</summary>
/// <param name="contentType">The form that MassTransit asks this one for; the reader looks at the message itself.</param>
/// <param name="bodySizeLimitBytes">Larger bodies are not read.</param>
/// <param name="messaging">Exchanges of clients.</param>
internal sealed class WireDeserializer(ContentType contentType, int bodySizeLimitBytes, MessagingOptions messaging)
    : IMessageDeserializer
{
    private static readonly JsonElement Nothing = JsonSerializer.SerializeToElement(new { });

    /// <summary>One for each form.</summary>
    public static IEnumerable<WireDeserializer> All(int bodySizeLimitBytes, MessagingOptions messaging) =>
        [
            new(SystemTextJsonRawMessageSerializer.JsonContentType, bodySizeLimitBytes, messaging),
            new(SystemTextJsonMessageSerializer.JsonContentType, bodySizeLimitBytes, messaging),
            new(new ContentType(CloudEvents.StructuredContentType), bodySizeLimitBytes, messaging),
        ];

    public ContentType ContentType => contentType;

    public ConsumeContext Deserialize(ReceiveContext receiveContext)
    {
        // Kept for those who ask later, since only this one knows the logins.
        var delivery = Delivery.Of(receiveContext).KnownBy(messaging);
        receiveContext.AddOrUpdatePayload(() => delivery, _ => delivery);
        return delivery.Queue == DeadLetterCopy.Queue
                ? UnansweredConsumeContext.Of(receiveContext, typeof(DeadLetterCopy), Nothing, ContentType)
            : MessageReader.Read(delivery.Through(messaging), bodySizeLimitBytes) is { } message
                ? UnansweredConsumeContext.Of(receiveContext, message.Contract.Type, message.Body, ContentType)
            // No message of the contracts: MassTransit finds no consumer for it.
            : SystemTextJsonMessageSerializer.Instance.Deserialize(receiveContext);
    }

    // MassTransit asks for this only when it reads a message outside a receive endpoint, which nothing here does.
    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) =>
        throw new NotSupportedException("A message's type is known only to its delivery.");

    public MessageBody GetMessageBody(string text) => new StringMessageBody(text);

    public void Probe(ProbeContext context) => context.CreateScope("wire").Add("contentType", ContentType.MediaType);
}

/// <summary>Reads everything in a queue as one message, whatever its sender calls it.</summary>
/// <param name="message">What it is read as.</param>
/// <param name="bodySizeLimitBytes">Larger bodies are not read.</param>
internal sealed class ForeignDeserializer(Type message, int bodySizeLimitBytes) : IMessageDeserializer
{
    public ContentType ContentType => SystemTextJsonRawMessageSerializer.JsonContentType;

    public ConsumeContext Deserialize(ReceiveContext receiveContext)
    {
        var body = IncomingBody.Parse(receiveContext.Body.GetBytes(), bodySizeLimitBytes);
        return UnansweredConsumeContext.Of(receiveContext, message, body, ContentType);
    }

    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) =>
        throw new NotSupportedException("A message's type is known only to its queue.");

    public MessageBody GetMessageBody(string text) => new StringMessageBody(text);

    public void Probe(ProbeContext context) => context.CreateScope("foreign").Add("contentType", ContentType.MediaType);
}

/// <summary>A message's context that sends no answer to an address of the sender's choosing.</summary>
/// <remarks>
/// MassTransit sends the fault of a message to whatever exchange its headers name (BaseConsumeContext,
/// <c>GenerateFault</c>), with the worker's rights. Here a receipt is the answer.
/// </remarks>
internal sealed class UnansweredConsumeContext(ReceiveContext delivery, SerializerContext body)
    : BodyConsumeContext(delivery, body)
{
    private const RawSerializerOptions Raw = RawSerializerOptions.Default;

    // MassTransit declares neither as null, and takes null for none.
    public override Uri ResponseAddress => null!;

    public override Uri FaultAddress => null!;

    /// <summary>A body as MassTransit's consumers of one type of message read it, and no other consumer.</summary>
    public static UnansweredConsumeContext Of(
        ReceiveContext delivery,
        Type type,
        System.Text.Json.JsonElement body,
        ContentType contentType
    )
    {
        var message = new RawMessageContext(delivery.TransportHeaders, delivery.InputAddress, Raw);
        return new UnansweredConsumeContext(
            delivery,
            new SystemTextJsonRawSerializerContext(
                SystemTextJsonMessageSerializer.Instance,
                IncomingBody.Options, // MassTransit's own fail where two names of a map differ in their spelling alone.
                contentType,
                message,
                [MessageUrn.ForTypeString(type)],
                Raw,
                body
            )
        );
    }
}
