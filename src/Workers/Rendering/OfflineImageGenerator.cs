using Microsoft.Extensions.AI;
using Pipeline.Contracts.Generation;
using Pipeline.Formats;
using Pipeline.Workers.Imaging;

namespace Pipeline.Workers.Rendering;

/// <summary>The offline painter as a provider. The same prompt, seed and size give the same file.</summary>
internal sealed class OfflineImageGenerator : IImageGenerator
{
    // What fits beside the painter's name on a narrow picture.
    private const int LabelLength = 20;

    /// <exception cref="NoPictureException">The size is not one that it paints.</exception>
    public async Task<ImageGenerationResponse> GenerateAsync(
        ImageGenerationRequest request,
        ImageGenerationOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        var (prompt, size) = (
            request.Prompt ?? "",
            options?.ImageSize ?? new(OfflinePainter.EdgeMin, OfflinePainter.EdgeMin)
        );
        if (!IsEdge(size.Width) || !IsEdge(size.Height))
        {
            throw new NoPictureException(
                new RenderFailure(
                    RenderFailureKinds.Permanent,
                    $"The {OfflinePainter.Name} paints {OfflinePainter.EdgeMin} to {OfflinePainter.EdgeMax} pixels a side."
                )
            );
        }

        var seed = options?.AdditionalProperties?.TryGetValue(RenderSettings.Seed, out long given) == true ? given : 0;
        var label = prompt.Length <= LabelLength ? prompt : prompt[..LabelLength];
        var paint = new PaintRequest(prompt, label, 0, seed, size.Width, size.Height);
        // Seconds of pure computing for a large one.
        var file = await Task.Run(() => OfflinePainter.Paint(paint), cancellationToken);
        return new ImageGenerationResponse([new DataContent(file, ImageFormat.Png.ContentType)]);
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    public void Dispose()
    {
        // Holds nothing.
    }

    private static bool IsEdge(int pixels) => pixels is >= OfflinePainter.EdgeMin and <= OfflinePainter.EdgeMax;
}
