using MassTransit;
using Pipeline.Contracts.Urls;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Urls;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class UrlsSlice
{
    private const int ConcurrentRefreshes = 8;

    /// <summary>Adds the queue <c>refresh-urls</c> and the sweep. Needs the rooms Storage, Persistence and Messaging.</summary>
    /// <exception cref="InvalidOperationException">A setting cannot be right; the process must not start.</exception>
    public static void AddUrls(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        var options = configuration.GetSection(UrlsOptions.Section).Get<UrlsOptions>() ?? new UrlsOptions();
        options.Validate();
        bus.AddSingleton(options);
        bus.AddSingleton<UrlChains>();
        bus.AddSingleton<UrlClaims>();
        bus.AddSingleton<UrlLedger>();
        bus.AddSingleton<UrlMetrics>();
        bus.AddSingleton<UrlSigner>();
        bus.AddSingleton<DueUrls>();
        bus.AddSingleton<UrlVariants>();
        bus.AddSingleton<ImageRefresh>();
        bus.AddSingleton<BulkRefresh>();
        const string OfProject = "exists (select from pipeline.images i where i.id = t.image_id and i.project_id = $1)";
        bus.AddSingleton(ErasureRule.Delete("urls", "image_urls", OfProject));
        bus.AddSingleton(ErasureRule.Delete("url-signings", "url_signings", OfProject));
        bus.AddHostedService<UrlSweeper>();
        // Short work, most of it waiting for other servers.
        bus.AddCommand<RefreshUrls, RefreshUrlsHandler>(_ =>
            new(ConcurrentRefreshes) { Prefetch = ConcurrentRefreshes, Passes = e => e is ImageBusyException }
        );
    }
}
