using MassTransit;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>
/// Takes a copy of each dead letter, and writes the <c>failed</c> receipt of those that the broker itself has made:
/// expired, delivered too often, or dropped from a queue that was too long. Workers write the receipts of theirs
/// before.
/// </summary>
internal sealed class GivenUpCommandConsumer(CommandFailures failures) : IConsumer<DeadLetterCopy>
{
    public Task Consume(ConsumeContext<DeadLetterCopy> context) =>
        BrokerDeath.Of(Delivery.Of(context.ReceiveContext)) is { } death
            ? failures.FailAsync(death.Original, death.Reason, context.CancellationToken, death.At)
            : Task.CompletedTask;
}

internal sealed class GivenUpCommandConsumerDefinition : ConsumerDefinition<GivenUpCommandConsumer>
{
    private const int Concurrency = 4;

    public GivenUpCommandConsumerDefinition()
    {
        EndpointName = DeadLetterCopy.Queue;
        ConcurrentMessageLimit = Concurrency;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<GivenUpCommandConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}
