using System.Diagnostics.CodeAnalysis;

namespace Pipeline.Workers.Models;

/// <summary>The models that this installation has. Every worker must be given the same ones.</summary>
internal sealed class ModelCatalog(IReadOnlyDictionary<string, ModelOptions> models)
{
    /// <summary>Always there unless the configuration gives the name to something else.</summary>
    public const string OfflinePainter = "offline-painter";

    /// <summary>In no particular order.</summary>
    public IEnumerable<string> Names => models.Keys;

    /// <param name="model">As in a command; upper and lower case differ.</param>
    public bool Knows(string model) => models.ContainsKey(model);

    /// <inheritdoc cref="Knows"/>
    public bool TryFind(string model, [NotNullWhen(true)] out ModelOptions? options) =>
        models.TryGetValue(model, out options);

    /// <exception cref="InvalidOperationException">A model's settings cannot be right; the process must not start.</exception>
    public static ModelCatalog Read(IConfiguration configuration)
    {
        var models = new Dictionary<string, ModelOptions>(StringComparer.Ordinal) { [OfflinePainter] = new() };
        foreach (var section in configuration.GetSection(ModelOptions.Section).GetChildren())
            models[section.Key] = section.Get<ModelOptions>() ?? new ModelOptions();
        foreach (var (name, options) in models)
            options.Validate(name);
        return new ModelCatalog(models);
    }
}
