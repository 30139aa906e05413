using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Replacing;

/// <summary>A replacement as it is handed in: an import that ends in <c>replace-image</c>.</summary>
internal static class ReplaceCommand
{
    /// <param name="commandId">Not derived: the same bytes may come back to a picture after others.</param>
    /// <param name="image">The picture.</param>
    /// <param name="sourceUrl">Null where the bytes are uploaded.</param>
    public static ImportImage Of(Guid commandId, ImageRow image, string? sourceUrl) =>
        new(
            commandId,
            image.ProjectId,
            image.Id,
            image.SceneId,
            image.SceneIndex,
            image.Slot,
            sourceUrl,
            sourceUrl is null ? $"uploads/{new CommandKey(image.ProjectId, commandId).Derive("upload"):D}" : null,
            Replace: true
        );
}
