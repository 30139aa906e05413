using Microsoft.Extensions.AI;
using Pipeline.Contracts.Generation;

namespace Pipeline.Workers.Rendering;

/// <summary>An attempt in the words of <see cref="IImageGenerator"/>.</summary>
internal static class RenderSettings
{
    /// <summary>The additional property with the seed, a <see cref="long"/>.</summary>
    public const string Seed = "seed";

    public static ImageGenerationOptions Of(RenderImage request, string model)
    {
        var own = new AdditionalPropertiesDictionary();
        foreach (var (name, value) in request.Options ?? new Dictionary<string, string>(StringComparer.Ordinal))
            own[name] = value;
        if (request.Seed is { } seed)
            own[Seed] = seed;
        return new ImageGenerationOptions
        {
            ModelId = model,
            Count = 1,
            ImageSize = new System.Drawing.Size(request.Width, request.Height),
            AdditionalProperties = own,
        };
    }
}
