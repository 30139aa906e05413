using MassTransit;
using Pipeline.Contracts.Reconciling;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Reconciling;

/// <summary>Queue <c>reconcile</c>: notes what is asked for; the work is done off the queue.</summary>
internal sealed class ReconcileConsumer(ReconciliationRequests requests) : IConsumer<Reconcile>
{
    public Task Consume(ConsumeContext<Reconcile> context) =>
        requests.TakeAsync(context.Message, CommandRequest.Of(context), context.CancellationToken);
}

/// <summary>Queue <c>discard-object</c>.</summary>
internal sealed class DiscardObjectConsumer(ObjectDiscards discards) : IConsumer<DiscardObject>
{
    public Task Consume(ConsumeContext<DiscardObject> context) =>
        discards.RunAsync(context.Message, CommandRequest.Of(context), context.CancellationToken);
}

internal sealed class ReconcileConsumerDefinition : ConsumerDefinition<ReconcileConsumer>
{
    public ReconcileConsumerDefinition() => ConcurrentMessageLimit = 1;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<ReconcileConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}

internal sealed class DiscardObjectConsumerDefinition : ConsumerDefinition<DiscardObjectConsumer>
{
    private const int Concurrency = 4; // Each may read a picture.

    // About three minutes for a store that is away; then a person replays the dead letter.
    private const int StoreRetries = 14;
    private static readonly TimeSpan PauseFirst = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PauseLimit = TimeSpan.FromSeconds(30);

    public DiscardObjectConsumerDefinition() => ConcurrentMessageLimit = Concurrency;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<DiscardObjectConsumer> consumerConfigurator,
        IRegistrationContext context
    )
    {
        endpointConfigurator.PrefetchCount = Concurrency;
        DatabaseRetries.Configure(consumerConfigurator);
        consumerConfigurator.UseMessageRetry(retry =>
        {
            retry.Handle<StorageUnavailableException>();
            retry.Exponential(StoreRetries, PauseFirst, PauseLimit, PauseFirst * 2);
        });
    }
}
