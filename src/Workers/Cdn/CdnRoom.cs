using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Pipeline.Workers.Cdn;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class CdnRoom
{
    // Bytes of an answer; those of the APIs have a few hundred.
    private const int AnswerLimit = 64 * 1024;

    /// <summary>
    /// Registers <see cref="CdnInvalidation"/> with the CDNs that the settings name. A CDN without its credentials stops
    /// the process at its start, and not a deletion in its middle.
    /// </summary>
    public static void AddCdn(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<CdnOptions>().Bind(configuration.GetSection(CdnOptions.Section)).ValidateOnStart();
        services.AddSingleton<IValidateOptions<CdnOptions>, CdnOptions>();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<CdnMetrics>();
        services.AddSingleton(provider =>
        {
            var options = provider.GetRequiredService<IOptions<CdnOptions>>().Value;
            // A redirect would lead the credentials to another server.
            var client = new HttpClient(
                new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(1) }
            )
            {
                Timeout = options.RequestTimeout,
                MaxResponseContentBufferSize = AnswerLimit,
            };
            return new CdnInvalidation(
                Configured(options, client, provider.GetRequiredService<TimeProvider>()),
                provider.GetRequiredService<CdnMetrics>()
            );
        });
    }

    private static IEnumerable<ICdn> Configured(CdnOptions options, HttpClient client, TimeProvider clock)
    {
        if (options.CloudFront is { } front)
            yield return new CloudFrontCdn(front, client, clock);
        if (options.Cloudinary is { } cloud)
            yield return new CloudinaryCdn(cloud, client, clock);
        if (options.Supabase is { } supabase)
            yield return new SupabaseCdn(supabase, client);
        if (options.Purge is { } purge)
            yield return new PurgeCdn(purge, client);
    }
}
