using MassTransit;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Persistence.Sagas;

namespace Pipeline.Workers.Cataloguing;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class CataloguingSlice
{
    // The saga's queue; MassTransit's formatter makes the same name of CatalogRebuildSaga.
    private const string SagaQueue = "catalog-rebuild";

    private static readonly Type[] SagaMessages =
    [
        typeof(BeginRebuild),
        typeof(PartListed),
        typeof(ListingFailed),
        typeof(CatalogSwept),
        typeof(CancelRebuild),
    ];

    /// <summary>Adds the catalogue's queues. Needs the rooms Storage, Persistence and Messaging.</summary>
    public static void AddCataloguing(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        bus.AddOptions<CataloguingOptions>()
            .Bind(configuration.GetSection(CataloguingOptions.Section))
            .ValidateOnStart();
        bus.AddSingleton<IValidateOptions<CataloguingOptions>, CataloguingOptions>();
        bus.AddSingleton(provider => provider.GetRequiredService<IOptions<CataloguingOptions>>().Value);

        AddRetention(bus, RetentionRule.Read(configuration, "Rebuilds", days: 90));
        bus.TryAddSingleton(TimeProvider.System);
        bus.AddSingleton<CatalogMetrics>();
        bus.AddSingleton<ObjectCheck>();
        bus.AddSingleton<ObjectCommands>();
        bus.AddSingleton<RebuildRequests>(); // Also for the saga, which answers them.
        bus.AddSingleton<CatalogRebuildDesk>();
        bus.AddHostedService<CatalogSweeper>();
        bus.AddSingleton(new WorkQueue(ObjectEventsConsumerDefinition.Queue));
        bus.AddSingleton(new ForeignQueue(ObjectEventsConsumerDefinition.Queue, typeof(ObjectEvents)));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<ListPage>()));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<SweepCatalog>()));
        bus.AddSingleton(new WorkQueue(SagaQueue, [.. SagaMessages.Select(WireNames.ExchangeOf)]));
        bus.AddCommand<RecordObject, RecordObjectHandler>(OfObjects<RecordObject>);
        bus.AddCommand<ForgetObject, ForgetObjectHandler>(OfObjects<ForgetObject>);
        bus.AddCommand<RebuildCatalog, RebuildRequests>(_ => new(Concurrency: 1));
        bus.AddConsumer<ObjectEventsConsumer, ObjectEventsConsumerDefinition>();
        bus.AddConsumer<ListPageConsumer, ListPageConsumerDefinition>();
        bus.AddConsumer<SweepCatalogConsumer, SweepCatalogConsumerDefinition>();
        bus.AddSagaStateMachine<CatalogRebuildStateMachine, CatalogRebuildSaga, CatalogRebuildSagaDefinition>()
            .PostgresRepository();
    }

    // Unordered, one request to the store each.
    private static CommandQueue<T> OfObjects<T>(IServiceProvider provider)
        where T : class =>
        new(provider.GetRequiredService<CataloguingOptions>().ConcurrentChecks)
        {
            Retries = retry => CatalogRetries.Configure(retry, CatalogRetries.OfCommands),
        };

    private static void AddRetention(IBusRegistrationConfigurator bus, TimeSpan keep)
    {
        const string Ended = """
            exists (select from pipeline.catalog_rebuilds r where r.correlation_id = t.rebuild_id and r.ended_at < $1)
            """;
        const string Alone = """
            t.ended_at < $1
            and not exists (select from pipeline.catalog_rebuild_requests q where q.rebuild_id = t.correlation_id)
            """;
        bus.AddSingleton(new RetentionRule("catalog_rebuild_parts", Ended, keep));
        bus.AddSingleton(new RetentionRule("catalog_rebuild_requests", Ended, keep));
        bus.AddSingleton(new RetentionRule("catalog_rebuilds", Alone, keep));
    }
}
