using MassTransit;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Wire;
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
        bus.AddSingleton<RebuildRequests>();
        bus.AddSingleton<CatalogRebuildDesk>();
        bus.AddHostedService<CatalogSweeper>();
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<RecordObject>()));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<ForgetObject>()));
        bus.AddSingleton(new WorkQueue(ObjectEventsConsumerDefinition.Queue));
        bus.AddSingleton(new ForeignQueue(ObjectEventsConsumerDefinition.Queue, typeof(ObjectEvents)));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<RebuildCatalog>()));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<ListPage>()));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<SweepCatalog>()));
        bus.AddSingleton(new WorkQueue(SagaQueue, [.. SagaMessages.Select(WireNames.ExchangeOf)]));
        bus.AddConsumer<RecordObjectConsumer, RecordObjectConsumerDefinition>();
        bus.AddConsumer<ForgetObjectConsumer, ForgetObjectConsumerDefinition>();
        bus.AddConsumer<ObjectEventsConsumer, ObjectEventsConsumerDefinition>();
        bus.AddConsumer<RebuildCatalogConsumer, RebuildCatalogConsumerDefinition>();
        bus.AddConsumer<ListPageConsumer, ListPageConsumerDefinition>();
        bus.AddConsumer<SweepCatalogConsumer, SweepCatalogConsumerDefinition>();
        bus.AddSagaStateMachine<CatalogRebuildStateMachine, CatalogRebuildSaga, CatalogRebuildSagaDefinition>()
            .PostgresRepository();
    }

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
