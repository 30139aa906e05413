using Amazon.S3;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Pipeline.Workers.Storage;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class StorageRoom
{
    /// <summary>Registers <see cref="IImageStore"/>. Wrong settings stop the process at its start, each one named.</summary>
    public static IServiceCollection AddStorage(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<StorageOptions>().Bind(configuration.GetSection(StorageOptions.Section)).ValidateOnStart();
        services.AddSingleton<IValidateOptions<StorageOptions>, StorageOptions>();
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<StorageOptions>>().Value);

        services.AddLogging();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<IAmazonS3>(provider =>
        {
            var options = provider.GetRequiredService<StorageOptions>();
            return S3Client.Create(options, options.ServiceUrl);
        });
        services.AddSingleton<IImageStore, S3ImageStore>();
        return services;
    }
}
