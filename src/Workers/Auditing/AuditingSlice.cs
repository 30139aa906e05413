using MassTransit;
using Pipeline.Contracts.DeadLetters;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Auditing;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class AuditingSlice
{
    /// <summary>Adds the queue <c>record-dead-letter-actions</c>. Needs the rooms Persistence and Messaging.</summary>
    public static void AddAuditing(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        var keep = RetentionRule.Read(configuration, "DeadLetterActions", days: 365);
        bus.AddSingleton(new RetentionRule("dead_letter_actions", "t.begun_at < $1", keep));
        bus.AddSingleton(
            ErasureRule.Update(
                "dead-letter-actions",
                "dead_letter_actions",
                "reason = null",
                "t.project_id = $1 and t.reason is not null"
            )
        );
        bus.AddSingleton<AuditMetrics>();
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<RecordDeadLetterActions>()));
        bus.AddConsumer<RecordDeadLetterActionsConsumer, RecordDeadLetterActionsConsumerDefinition>();
    }
}

internal sealed class RecordDeadLetterActionsConsumerDefinition : ConsumerDefinition<RecordDeadLetterActionsConsumer>
{
    private const int Concurrency = 4;

    public RecordDeadLetterActionsConsumerDefinition()
    {
        EndpointName = WireNames.ExchangeOf<RecordDeadLetterActions>();
        ConcurrentMessageLimit = Concurrency;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<RecordDeadLetterActionsConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}
