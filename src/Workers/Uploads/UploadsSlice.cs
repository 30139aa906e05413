using Microsoft.Extensions.Options;

namespace Pipeline.Workers.Uploads;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class UploadsSlice
{
    /// <summary>Adds the sweep of abandoned uploads. Needs the rooms Storage, Persistence and Messaging.</summary>
    public static void AddUploads(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<UploadOptions>().Bind(configuration.GetSection(UploadOptions.Section)).ValidateOnStart();
        services.AddSingleton<IValidateOptions<UploadOptions>, UploadOptions>();
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<UploadOptions>>().Value);
        services.AddSingleton<UploadMetrics>();
        services.AddSingleton<Leftovers>();
        services.AddSingleton<LeftoverRemoval>();
        services.AddSingleton<ImportQueue>();
        services.AddHostedService<UploadSweeper>();
    }
}
