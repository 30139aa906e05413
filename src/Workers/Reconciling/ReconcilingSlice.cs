using MassTransit;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Pipeline.Contracts.Reconciling;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Reconciling;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class ReconcilingSlice
{
    private const int ConcurrentDiscards = 4; // Each may read an image.

    // About three minutes for a store that is away; then a person replays the dead letter.
    private const int StoreRetries = 14;
    private static readonly TimeSpan PauseFirst = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PauseLimit = TimeSpan.FromSeconds(30);

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
        bus.AddSingleton<RepairDesk>();
        bus.AddHostedService<Reconciler>();
        bus.AddCommand<Reconcile, ReconcileHandler>(_ => new(Concurrency: 1));
        bus.AddCommand<DiscardObject, ObjectDiscards>(_ =>
            new(ConcurrentDiscards)
            {
                Prefetch = ConcurrentDiscards,
                Retries = retry =>
                {
                    retry.Handle<StorageUnavailableException>();
                    retry.Exponential(StoreRetries, PauseFirst, PauseLimit, PauseFirst * 2);
                },
            }
        );
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
