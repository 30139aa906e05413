using System.Text.Json;
using MassTransit;
using Pipeline.Wire;

namespace Pipeline.Workers.Webhooks;

/// <summary>Stores an event once for each subscription that wants it, before the broker is told that it was taken.</summary>
/// <remarks>An event that comes again finds its deliveries by its message id and stores nothing.</remarks>
internal sealed class WebhookEventConsumer<T>(DeliveryLedger deliveries) : IConsumer<T>
    where T : class
{
    public Task Consume(ConsumeContext<T> context)
    {
        var id = context.MessageId ?? throw new EventWithoutIdException();
        return deliveries.StoreAsync(WebhookEvent.Of(id, context.Message), context.CancellationToken);
    }
}

/// <summary>Where the queue of the events is named, for all their types.</summary>
internal static class WebhookEventConsumer
{
    public const string Queue = "webhook-events";

    // Unanswered at once. They are stored one after the other, so that they are delivered in the order of coming.
    public const int Prefetch = 64;
}

/// <summary>An event as a webhook carries it.</summary>
/// <param name="MessageId">The event's own, and the <c>webhook-id</c>.</param>
/// <param name="Event">Its exchange.</param>
/// <param name="ProjectId">Null where it belongs to none.</param>
/// <param name="Body">Standard Webhooks 1.0.0, "Payload structure": type, timestamp and data.</param>
internal sealed record WebhookEvent(Guid MessageId, string Event, Guid? ProjectId, byte[] Body)
{
    public static WebhookEvent Of<T>(Guid messageId, T message)
    {
        var data = JsonSerializer.SerializeToElement(message, WireJson.Options);
        var exchange = WireNames.ExchangeOf<T>();
        // Every event says when it was, as "at" (EventTopology).
        var body = new
        {
            type = TypeOf(exchange),
            timestamp = data.GetProperty("at"),
            data,
        };
        Guid? project = data.TryGetProperty("projectId", out var id) ? id.GetGuid() : null;
        return new WebhookEvent(messageId, exchange, project, WireJson.Write(body));
    }

    /// <summary>The specification's form, "full-stop delimited" of <c>[a-zA-Z0-9_]</c>: <c>image-saved</c> → <c>image.saved</c>.</summary>
    public static string TypeOf(string exchange)
    {
        var verb = exchange.LastIndexOf('-');
        return verb < 0 ? exchange : $"{exchange[..verb].Replace('-', '_')}.{exchange[(verb + 1)..]}";
    }
}

/// <summary>Without an id a repetition could not be told. Nothing in this pipeline sends such an event.</summary>
internal sealed class EventWithoutIdException() : Exception("The event has no message id.");
