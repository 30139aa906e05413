using MassTransit;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Cataloguing;

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
