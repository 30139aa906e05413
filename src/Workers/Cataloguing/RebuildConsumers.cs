using MassTransit;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Queue <c>rebuild-catalog</c>: begins a rebuild of our bucket or joins it; the saga answers at its end.</summary>
internal sealed class RebuildCatalogConsumer(RebuildRequests requests, StorageOptions storage)
    : IConsumer<RebuildCatalog>
{
    public Task Consume(ConsumeContext<RebuildCatalog> context) =>
        requests.TakeAsync(CommandRequest.Of(context), storage.Bucket, context.CancellationToken);
}

internal sealed class RebuildCatalogConsumerDefinition : ConsumerDefinition<RebuildCatalogConsumer>
{
    public RebuildCatalogConsumerDefinition() => ConcurrentMessageLimit = 1;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<RebuildCatalogConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}

/// <summary>Queue <c>list-page</c>: competing workers, a request to the store and a transaction each.</summary>
internal sealed class ListPageConsumerDefinition : ConsumerDefinition<ListPageConsumer>
{
    private readonly int _concurrency;

    public ListPageConsumerDefinition(CataloguingOptions options)
    {
        _concurrency = options.ConcurrentPages;
        ConcurrentMessageLimit = _concurrency;
    }

    // The store's failures are waited out by the part, in the database; here only the database's own.
    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<ListPageConsumer> consumerConfigurator,
        IRegistrationContext context
    )
    {
        endpointConfigurator.PrefetchCount = _concurrency;
        DatabaseRetries.Configure(endpointConfigurator);
    }
}

/// <summary>Queue <c>sweep-catalog</c>: one stretch of the catalogue at a time.</summary>
internal sealed class SweepCatalogConsumerDefinition : ConsumerDefinition<SweepCatalogConsumer>
{
    public SweepCatalogConsumerDefinition() => ConcurrentMessageLimit = 1;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<SweepCatalogConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}

/// <summary>Queue <c>catalog-rebuild</c>: the saga. Messages of one rebuild wait for each other in the database.</summary>
internal sealed class CatalogRebuildSagaDefinition : SagaDefinition<CatalogRebuildSaga>
{
    private const int Concurrency = 4;

    public CatalogRebuildSagaDefinition() => ConcurrentMessageLimit = Concurrency;

    protected override void ConfigureSaga(
        IReceiveEndpointConfigurator endpointConfigurator,
        ISagaConfigurator<CatalogRebuildSaga> sagaConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}
