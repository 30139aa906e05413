using Pipeline.Workers.Models;

namespace Pipeline.Workers.Rendering;

/// <summary>The providers of this process, by the models' names.</summary>
internal sealed class Providers : IDisposable
{
    private readonly Dictionary<string, Provider> _providers = new(StringComparer.Ordinal);

    public Providers(
        ModelCatalog models,
        RenderingOptions options,
        ProviderGates gates,
        RenderMetrics metrics,
        TimeProvider clock
    )
    {
        foreach (var name in models.Names)
        {
            if (models.TryFind(name, out var model))
                _providers.Add(name, new Provider(name, model, options, gates, metrics, clock));
        }
    }

    /// <returns>Null for a model that this installation has not.</returns>
    public Provider? Find(string model) => _providers.GetValueOrDefault(model);

    public void Dispose()
    {
        foreach (var provider in _providers.Values)
            provider.Dispose();
    }
}
