using MassTransit;
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
        typeof(CancelGeneration),
        typeof(RetryGeneration),
    ];

    public static void AddGeneration(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        var options = configuration.GetSection(GenerationOptions.Section).Get<GenerationOptions>() ?? new();
        options.Validate();
        bus.AddModels(configuration);
        bus.AddSingleton(options);
        bus.AddSingleton<GenerationMetrics>();
        bus.AddSingleton(new Backoff(options, Random.Shared));
        bus.AddSingleton<TargetLedger>();
        bus.AddSingleton(
            new CarriedCommand(
                typeof(RequestGeneration),
                x => ((RequestGeneration)x).Request,
                x => ((RequestGeneration)x).Replays
            )
        );
        bus.AddSingleton<GenerationDesk>();
        bus.AddHostedService<GenerationSweeper>();
        bus.AddHostedService<StoryboardSweeper>();
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<GenerateImage>()));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<GenerateStoryboard>()));
        bus.AddSingleton(new WorkQueue(SagaQueue, [.. SagaMessages.Select(WireNames.ExchangeOf)]));
        bus.AddConsumer<GenerateImageConsumer, GenerateImageConsumerDefinition>();
        bus.AddConsumer<GenerateStoryboardConsumer, GenerateStoryboardConsumerDefinition>();
        bus.AddSagaStateMachine<GenerationStateMachine, GenerationSaga, GenerationSagaDefinition>()
            .PostgresRepository();
    }
}

/// <summary>Queue <c>generate-image</c>: cheap checks, no provider.</summary>
internal sealed class GenerateImageConsumerDefinition : ConsumerDefinition<GenerateImageConsumer>
{
    private const int Concurrency = 16;

    public GenerateImageConsumerDefinition() => ConcurrentMessageLimit = Concurrency;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<GenerateImageConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}

/// <summary>Queue <c>generate-storyboard</c>: few messages, each with many rows.</summary>
internal sealed class GenerateStoryboardConsumerDefinition : ConsumerDefinition<GenerateStoryboardConsumer>
{
    private const int Concurrency = 2;

    public GenerateStoryboardConsumerDefinition() => ConcurrentMessageLimit = Concurrency;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<GenerateStoryboardConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
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
