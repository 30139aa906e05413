using MassTransit;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Models;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Persistence.Sagas;

namespace Pipeline.Workers.Generation;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class GenerationSlice
{
    private const int ConcurrentRequests = 16; // Cheap checks, no provider.
    private const int ConcurrentStoryboards = 2; // Few messages, each with many rows.

    // The saga's queue; MassTransit's formatter makes the same name of GenerationSaga.
    private const string SagaQueue = "generation";

    private static readonly Type[] SagaMessages =
    [
        typeof(RequestGeneration),
        typeof(RenderSucceeded),
        typeof(RenderFailed),
        typeof(RenderPostponed),
        typeof(RenderDue),
        typeof(RenderLeaseExpired),
        typeof(GenerationDeadlinePassed),
        typeof(TargetSettled),
        typeof(GenerationReleased),
        typeof(RemovalEnded),
        typeof(CancelGeneration),
        typeof(RetryGeneration),
    ];

    private static void AddRetention(IBusRegistrationConfigurator bus, TimeSpan keep)
    {
        const string IsEnded = """
            g.current_state in ('Completed', 'Abandoned', 'Rejected', 'Cancelled', 'Removed') and g.updated_at < $1
            """;
        const string OfEnded = $"""
            exists (select from pipeline.generation_requests g where g.correlation_id = t.generation_id and {IsEnded})
            """;
        const string OfNone = """
            t.lease_until < $1
            and not exists (select from pipeline.generation_requests g where g.correlation_id = t.generation_id)
            """;
        const string Alone = """
            t.current_state in ('Completed', 'Abandoned', 'Rejected', 'Cancelled', 'Removed') and t.updated_at < $1
            and not exists (select from pipeline.generation_targets x where x.generation_id = t.correlation_id)
            and not exists (select from pipeline.generation_attempts x where x.generation_id = t.correlation_id)
            """;
        bus.AddSingleton(new RetentionRule("generation_targets", $"t.outcome is not null and {OfEnded}", keep));
        bus.AddSingleton(new RetentionRule("generation_attempts", $"t.ended_at < $1 and {OfEnded}", keep));
        bus.AddSingleton(new RetentionRule("generation_leases", OfNone, keep));
        bus.AddSingleton(new RetentionRule("generation_requests", Alone, keep));

        const string OfComplete = """
            exists (select from pipeline.generation_storyboards s
                where s.command_id = t.storyboard_id and s.project_id = t.project_id and s.completed_at < $1)
            """;
        const string Complete = """
            t.completed_at < $1
            and not exists (
                select from pipeline.generation_storyboard_items i
                where i.storyboard_id = t.command_id and i.project_id = t.project_id)
            """;
        bus.AddSingleton(new RetentionRule("generation_storyboard_items", OfComplete, keep));
        bus.AddSingleton(new RetentionRule("generation_storyboards", Complete, keep));
    }

    public static void AddGeneration(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        var options = configuration.GetSection(GenerationOptions.Section).Get<GenerationOptions>() ?? new();
        options.Validate();
        var keep = RetentionRule.Read(configuration, "Generations", days: 90);
        if (keep > RetentionRule.Read(configuration, "Receipts", days: 90))
            throw new InvalidOperationException(
                "Retention__Generations must not be longer than Retention__Receipts, which tell a storyboard's state."
            );
        AddRetention(bus, keep);
        GenerationErasure.AddErasure(bus);
        bus.AddModels(configuration);
        bus.AddSingleton(options);
        bus.AddSingleton<GenerationMetrics>();
        bus.AddSingleton(new Backoff(options, Random.Shared));
        bus.AddSingleton<SweepCheck>();
        bus.AddSingleton<TargetLedger>();
        bus.AddSingleton(
            new CarriedCommand(
                typeof(RequestGeneration),
                x => ((RequestGeneration)x).Request,
                x => ((RequestGeneration)x).Replays
            )
        );
        bus.AddSingleton<GenerationDesk>();
        bus.AddSingleton<GenerationRemoval>();
        bus.AddHostedService<GenerationSweeper>();
        bus.AddHostedService<StoryboardSweeper>();
        bus.AddSingleton(new WorkQueue(SagaQueue, [.. SagaMessages.Select(WireNames.ExchangeOf)]));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<ReleaseGenerated>()));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<RemoveOriginals>()));
        bus.AddConsumer<ReleaseGeneratedConsumer, ReleaseGeneratedConsumerDefinition>();
        bus.AddConsumer<RemoveOriginalsConsumer, RemoveOriginalsConsumerDefinition>();
        bus.AddCommand<GenerateImage, GenerateImageHandler>(_ => new(ConcurrentRequests));
        bus.AddCommand<GenerateStoryboard, GenerateStoryboardHandler>(_ => new(ConcurrentStoryboards));
        bus.AddSagaStateMachine<GenerationStateMachine, GenerationSaga, GenerationSagaDefinition>()
            .PostgresRepository();
    }
}

/// <summary>Queue <c>generation</c>: the saga. Messages of one generation wait for each other in the database.</summary>
internal sealed class GenerationSagaDefinition : SagaDefinition<GenerationSaga>
{
    private const int Concurrency = 8;

    public GenerationSagaDefinition() => ConcurrentMessageLimit = Concurrency;

    protected override void ConfigureSaga(
        IReceiveEndpointConfigurator endpointConfigurator,
        ISagaConfigurator<GenerationSaga> sagaConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}
