using MassTransit;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Queue <c>object-events</c>: what the store itself tells of puts and deletions.</summary>
/// <remarks>
/// An event that is no newer than what an entry knows is passed over. Any other makes us ask the store, whose word is
/// written with the event's sequencer: so neither an event that is late nor one that is wrong can undo a newer one.
/// </remarks>
internal sealed partial class ObjectEventsConsumer(
    ObjectCheck check,
    StorageOptions storage,
    CatalogMetrics metrics,
    ILogger<ObjectEventsConsumer> logger
) : IConsumer<ObjectEvents>
{
    public async Task Consume(ConsumeContext<ObjectEvents> context)
    {
        var events = ObjectEventReader.Read(context.Message.Body, storage.Bucket);
        // A key that we cannot ask for is known before the first one is applied.
        foreach (var told in events)
        {
            if (ObjectKeys.Problem(told.Key) is { } problem)
                throw new UnreadableEventException($"the key '{told.Key}': {problem}");
        }

        if (events.Count == 0)
            metrics.Notified("ignored");
        try
        {
            foreach (var told in events)
                await ApplyAsync(told, context.CancellationToken);
        }
        catch (Exception) when (context.CancellationToken.IsCancellationRequested)
        {
            // The process stops. With this token MassTransit gives the message back; else it would be a dead letter.
            throw new OperationCanceledException(context.CancellationToken);
        }
    }

    private async Task ApplyAsync(ObjectEvent told, CancellationToken cancellation)
    {
        var result = await check.RunAsync(
            told.Key,
            told.Sequencer,
            before => Sequencer.IsNews(told.Sequencer, before.Sequencer),
            (_, _, _) => Task.FromResult(true),
            cancellation
        );
        var what = result switch
        {
            null => "stale",
            { Changed: false } => "unchanged",
            { Stored: null } => "forgotten",
            _ => "recorded",
        };
        metrics.Notified(what);
        Applied(told.Key, told.IsDeletion ? "deletion" : "put", what);
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "The store tells of a {Change} of '{Key}': {Result}")]
    private partial void Applied(string key, string change, string result);
}

internal sealed class ObjectEventsConsumerDefinition : ConsumerDefinition<ObjectEventsConsumer>
{
    public const string Queue = "object-events";

    public ObjectEventsConsumerDefinition(CataloguingOptions options)
    {
        EndpointName = Queue;
        ConcurrentMessageLimit = options.ConcurrentChecks;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<ObjectEventsConsumer> consumerConfigurator,
        IRegistrationContext context
    )
    {
        DatabaseRetries.Configure(endpointConfigurator);
        endpointConfigurator.UseMessageRetry(retry => CatalogRetries.Configure(retry, CatalogRetries.OfEvents));
    }
}
