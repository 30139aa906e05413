using System.Net.Mime;
using System.Runtime.Serialization;
using System.Text.Json;
using MassTransit;
using MassTransit.Serialization;
using Pipeline.Wire.Schemas;

namespace Pipeline.Workers.Messaging;

/// <summary>MassTransit's envelope, for .NET services that publish with it.</summary>
internal sealed class EnvelopeDeserializer(int bodySizeLimitBytes) : IMessageDeserializer
{
    private readonly SystemTextJsonMessageSerializer _envelope = SystemTextJsonMessageSerializer.Instance;

    public ContentType ContentType => SystemTextJsonMessageSerializer.JsonContentType;

    public ConsumeContext Deserialize(ReceiveContext receiveContext)
    {
        var envelope = IncomingBody.Parse(receiveContext, bodySizeLimitBytes);
        if (ContractOf(envelope) is not { } contract)
            return _envelope.Deserialize(receiveContext); // No message of the contracts: nobody will want it.

        var messageId = Guid.TryParse(IncomingBody.TextIn(envelope, "messageId"), out var id) ? id : (Guid?)null;
        if (IncomingBody.ObjectIn(envelope, "message") is not { } body)
            throw new SchemaViolationException(
                messageId,
                projectId: null,
                contract.Name,
                ["message: must be a JSON object."]
            );
        return IncomingBody.Open(receiveContext, contract, body, messageId, ContentType);
    }

    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) =>
        _envelope.Deserialize(body, headers, destinationAddress);

    public MessageBody GetMessageBody(string text) => _envelope.GetMessageBody(text);

    public void Probe(ProbeContext context) => _envelope.Probe(context);

    private static MessageContract? ContractOf(JsonElement envelope) =>
        MessageUrns.Find(IncomingBody.TextsIn(envelope, "messageType"));
}
