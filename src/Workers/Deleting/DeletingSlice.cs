using MassTransit;
using Pipeline.Contracts.Deleting;
using Pipeline.Wire;
using Pipeline.Workers.Cdn;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Persistence.Sagas;

namespace Pipeline.Workers.Deleting;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class DeletingSlice
{
    // The saga's queue; MassTransit's formatter makes the same name of DeletionSaga.
    private const string SagaQueue = "deletion";

    private static readonly Type[] SagaMessages =
    [
        typeof(DeletionDue),
        typeof(PurgeStepDone),
        typeof(PurgeStepFailed),
        typeof(RetryDeletion),
    ];

    /// <summary>Adds the lane commands.</summary>
    public static void AddDeletingLane(this IServiceCollection services)
    {
        services.AddSingleton<ILaneHandler, DeleteImageHandler>();
        services.AddSingleton<ILaneHandler, DeleteProjectHandler>();
        services.AddSingleton<ILaneHandler, RestoreImageHandler>();
        services.AddSingleton<ILaneHandler, RestoreProjectHandler>();
    }

    /// <summary>Adds the queues <c>deletion</c> and <c>purge-image</c>. Needs the rooms Storage, Cdn and Persistence.</summary>
    /// <exception cref="InvalidOperationException">A setting cannot be right; the process must not start.</exception>
    public static void AddDeleting(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        var options = configuration.GetSection(DeletionOptions.Section).Get<DeletionOptions>() ?? new();
        options.Validate();
        bus.AddSingleton(options);
        AddRetention(bus, configuration);
        AddErasure(bus);
        bus.AddSingleton<DeletionMetrics>();
        bus.AddSingleton<DeletionKeys>();
        bus.AddSingleton<ObjectPurge>();
        bus.AddSingleton<DeletionDesk>();
        bus.AddHostedService<DeletionSweeper>();
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<PurgeImage>()));
        bus.AddSingleton(new WorkQueue(SagaQueue, [.. SagaMessages.Select(WireNames.ExchangeOf)]));
        bus.AddConsumer<PurgeImageConsumer, PurgeImageConsumerDefinition>();
        bus.AddSagaStateMachine<DeletionStateMachine, DeletionSaga, DeletionSagaDefinition>().PostgresRepository();
    }

    private static void AddErasure(IBusRegistrationConfigurator bus)
    {
        const string Purged =
            "select coalesce(sum(purged_keys), 0)::bigint from pipeline.deletions where project_id = $1";
        bus.AddSingleton(
            new ErasureWait(
                "deletions that are not completed yet",
                """
                select exists (select from pipeline.deletions
                    where project_id = $1 and current_state not in ('Completed', 'Restored'))
                """,
                // No grace period: nothing is restored, and nobody may use URLs of replaced bytes.
                """
                update pipeline.deletions set due_at = now()
                where project_id = $1 and current_state = 'Tombstoned' and due_at > now() + interval '5 seconds'
                """
            )
        );
        bus.AddSingleton(new ErasureCount("objects", Purged));
        bus.AddSingleton(provider => new ErasureCount(
            "cdn-copies",
            provider.GetRequiredService<CdnInvalidation>().IsConfigured
                ? Purged
                : "select 0::bigint where $1 is not null"
        ));
    }

    private static void AddRetention(IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        const string OfEnded = """
            exists (select from pipeline.deletions d where d.correlation_id = t.deletion_id
                and d.current_state in ('Completed', 'Restored') and d.updated_at < $1)
            """;
        const string Ended = """
            t.current_state in ('Completed', 'Restored') and t.updated_at < $1
            and not exists (select from pipeline.deletion_keys k where k.deletion_id = t.correlation_id)
            """;
        // A deletion that has failed may be repeated, and would delete what came under the key since. An image whose
        // bytes were wrong names the key until it has others.
        const string Purged = """
            t.purged_at < $1
            and not exists (select from pipeline.deletion_keys k where k.key = t.key)
            and not exists (select from pipeline.images i where i.object_key collate "C" = t.key)
            """;
        var keep = RetentionRule.Read(configuration, "Deletions", days: 90);
        bus.AddSingleton(new RetentionRule("deletion_keys", OfEnded, keep));
        bus.AddSingleton(new RetentionRule("deletions", Ended, keep));
        // As long as somebody may still send a save with such a key.
        keep = RetentionRule.Read(configuration, "PurgedKeys", days: 365);
        bus.AddSingleton(new RetentionRule("purged_objects", Purged, keep));
    }
}

/// <summary>Queue <c>purge-image</c>: unordered, slow work.</summary>
internal sealed class PurgeImageConsumerDefinition : ConsumerDefinition<PurgeImageConsumer>
{
    private readonly int _concurrentSteps;

    public PurgeImageConsumerDefinition(DeletionOptions options)
    {
        _concurrentSteps = options.ConcurrentSteps;
        EndpointName = WireNames.ExchangeOf<PurgeImage>();
        ConcurrentMessageLimit = _concurrentSteps;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<PurgeImageConsumer> consumerConfigurator,
        IRegistrationContext context
    )
    {
        endpointConfigurator.PrefetchCount = _concurrentSteps;
        DatabaseRetries.Configure(endpointConfigurator);
    }
}

/// <summary>Queue <c>deletion</c>: the saga. Messages of one deletion wait for each other in the database.</summary>
internal sealed class DeletionSagaDefinition : SagaDefinition<DeletionSaga>
{
    private const int Concurrency = 4;

    public DeletionSagaDefinition() => ConcurrentMessageLimit = Concurrency;

    protected override void ConfigureSaga(
        IReceiveEndpointConfigurator endpointConfigurator,
        ISagaConfigurator<DeletionSaga> sagaConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}
