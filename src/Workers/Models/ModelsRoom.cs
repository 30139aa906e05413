using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Pipeline.Workers.Models;

/// <summary>All that the host and the slices need to know of this folder.</summary>
internal static class ModelsRoom
{
    /// <summary>Adds the <see cref="ModelCatalog"/>. Each slice that needs it may call this.</summary>
    /// <exception cref="InvalidOperationException">A model's settings cannot be right.</exception>
    public static void AddModels(this IServiceCollection services, IConfiguration configuration) =>
        services.TryAddSingleton(ModelCatalog.Read(configuration));
}
