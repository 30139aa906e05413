using MassTransit;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Pipeline.Contracts.Importing;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class ImportingSlice
{
    // A failed import keeps its upload for the replay, as long as its receipt is kept.
    private const string NotFailed = """
        t.begun_at < $1
        and not exists (
            select from pipeline.receipts r
            where r.command_id = t.command_id and r.scope = t.project_id and r.outcome = 'failed')
        """;

    // An import that has not ended by then never will: it keeps the sweep from its object no longer.
    private static readonly TimeSpan SourceLength = TimeSpan.FromDays(30);

    // Uploads that a failed import has kept for its replay.
    private static void AddErasure(IBusRegistrationConfigurator bus)
    {
        const string OfProject = "t.project_id = $1";
        bus.AddSingleton(
            new ErasureObjects(
                "uploads",
                $"""
                select distinct t.key from pipeline.import_sources t
                where t.key like 'uploads/%' and {OfProject} and t.key > $3 and not exists (
                    select from pipeline.import_sources o where o.key = t.key and o.project_id <> $1)
                order by t.key limit $2
                """
            )
        );
        bus.AddSingleton(ErasureRule.Delete("import-sources", "import_sources", OfProject));
    }

    /// <summary>Adds the queue <c>import-image</c>. Needs the rooms Storage, Persistence and Messaging.</summary>
    public static void AddImporting(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        bus.AddOptions<ImportingOptions>().Bind(configuration.GetSection(ImportingOptions.Section)).ValidateOnStart();
        bus.AddSingleton<IValidateOptions<ImportingOptions>, ImportingOptions>();
        bus.AddSingleton(provider => provider.GetRequiredService<IOptions<ImportingOptions>>().Value);

        bus.TryAddSingleton(TimeProvider.System);
        bus.AddSingleton(provider => new SourceFetcher(
            "sourceUrl",
            provider.GetRequiredService<ImportingOptions>().FetchLimits,
            provider.GetRequiredService<TimeProvider>()
        ));
        bus.AddSingleton(new RetentionRule("import_sources", NotFailed, SourceLength));
        AddErasure(bus);
        bus.AddSingleton<ImportSource>();
        bus.AddSingleton<ImportMetrics>();
        bus.AddSingleton<ImportLedger>();
        bus.AddCommand<ImportImage, ImportImageHandler>(provider =>
            QueueOf(provider.GetRequiredService<ImportingOptions>())
        );
    }

    // Unordered, slow work, bounded by the memory that the files take.
    private static CommandQueue<ImportImage> QueueOf(ImportingOptions options) =>
        new(options.ConcurrentImports)
        {
            Prefetch = options.ConcurrentImports,
            Retries = retry =>
            {
                retry.Handle<SourceUnavailableException>();
                retry.Handle<StorageUnavailableException>();
                retry.Incremental(options.Retries, options.RetryDelay, options.RetryDelay);
            },
        };
}
