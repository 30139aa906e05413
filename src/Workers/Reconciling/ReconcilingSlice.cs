using MassTransit;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Pipeline.Contracts.Reconciling;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Reconciling;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class ReconcilingSlice
{
    /// <summary>Adds the reconciliation's queues. Needs the rooms Storage, Persistence and Messaging.</summary>
    public static void AddReconciling(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        bus.AddOptions<ReconcilingOptions>()
            .Bind(configuration.GetSection(ReconcilingOptions.Section))
            .ValidateOnStart();
        bus.AddSingleton<IValidateOptions<ReconcilingOptions>, ReconcilingOptions>();
        bus.AddSingleton(provider => provider.GetRequiredService<IOptions<ReconcilingOptions>>().Value);

        AddRetention(bus, RetentionRule.Read(configuration, "Reconciliations", days: 90));
        bus.TryAddSingleton(TimeProvider.System);
        bus.AddSingleton<ReconcilingMetrics>();
        bus.AddSingleton<KnownKeys>();
        bus.AddSingleton<StoreComparison>();
        bus.AddSingleton<ReconciliationLedger>();
        bus.AddSingleton<ReconciliationRequests>();
        bus.AddSingleton<RepairDesk>();
        bus.AddSingleton<ObjectDiscards>();
        bus.AddHostedService<Reconciler>();
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<Reconcile>()));
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<DiscardObject>()));
        bus.AddConsumer<ReconcileConsumer, ReconcileConsumerDefinition>();
        bus.AddConsumer<DiscardObjectConsumer, DiscardObjectConsumerDefinition>();
    }

    private static void AddRetention(IBusRegistrationConfigurator bus, TimeSpan keep)
    {
        const string Ended = """
            t.reconciliation_id = any(array(select r.id from pipeline.reconciliations r where r.ended_at < $1))
            """;
        const string Alone = """
            t.ended_at < $1
            and not exists (select from pipeline.reconciliation_findings f where f.reconciliation_id = t.id)
            and not exists (select from pipeline.reconciliations r where r.repair_of = t.id)
            """;
        bus.AddSingleton(new RetentionRule("reconciliation_findings", Ended, keep));
        bus.AddSingleton(new RetentionRule("reconciliations", Alone, keep));
    }
}
