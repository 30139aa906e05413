using MassTransit;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Queue <c>record-object</c>.</summary>
internal sealed class RecordObjectConsumer(ObjectCommands commands) : IConsumer<RecordObject>
{
    public Task Consume(ConsumeContext<RecordObject> context) =>
        commands.RunAsync(
            CommandRequest.Of(context),
            context.Message.ObjectKey,
            isDeletion: false,
            context.CancellationToken
        );
}

/// <summary>Queue <c>forget-object</c>.</summary>
internal sealed class ForgetObjectConsumer(ObjectCommands commands) : IConsumer<ForgetObject>
{
    public Task Consume(ConsumeContext<ForgetObject> context) =>
        commands.RunAsync(
            CommandRequest.Of(context),
            context.Message.ObjectKey,
            isDeletion: true,
            context.CancellationToken
        );
}

internal sealed class RecordObjectConsumerDefinition(CataloguingOptions options)
    : ObjectConsumerDefinition<RecordObjectConsumer>(options);

internal sealed class ForgetObjectConsumerDefinition(CataloguingOptions options)
    : ObjectConsumerDefinition<ForgetObjectConsumer>(options);

/// <summary>Unordered, one request to the store each.</summary>
internal abstract class ObjectConsumerDefinition<TConsumer> : ConsumerDefinition<TConsumer>
    where TConsumer : class, IConsumer
{
    protected ObjectConsumerDefinition(CataloguingOptions options) => ConcurrentMessageLimit = options.ConcurrentChecks;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<TConsumer> consumerConfigurator,
        IRegistrationContext context
    )
    {
        DatabaseRetries.Configure(consumerConfigurator);
        consumerConfigurator.UseMessageRetry(retry => CatalogRetries.Configure(retry, CatalogRetries.OfCommands));
    }
}

/// <summary>Retries for a store that is away, or an entry that others write; the database has its own.</summary>
internal static class CatalogRetries
{
    /// <summary>About three minutes; then a person replays the dead letter.</summary>
    public const int OfCommands = 14;

    /// <summary>About twelve minutes: nobody sends an event again. Below the broker's limit of 30 minutes.</summary>
    public const int OfEvents = 32;

    private static readonly TimeSpan PauseFirst = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan PauseLimit = TimeSpan.FromSeconds(30);

    public static void Configure(IRetryConfigurator retry, int limit)
    {
        retry.Handle<StorageUnavailableException>();
        retry.Handle<EntryContendedException>();
        retry.Exponential(limit, PauseFirst, PauseLimit, PauseFirst * 2);
    }
}
