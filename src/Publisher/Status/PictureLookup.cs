using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Status;

/// <summary>Finds a picture that a person names, to learn its project.</summary>
internal static class PictureLookup
{
    /// <exception cref="FailureException">There is none.</exception>
    public static async Task<ImageRow> RequireAsync(
        StatusDatabase database,
        Guid image,
        CancellationToken cancellation
    ) =>
        await new ProjectReads(database).ImageAsync(image, cancellation)
        ?? throw new FailureException($"There is no picture {image}; its save may still be queued.");
}
