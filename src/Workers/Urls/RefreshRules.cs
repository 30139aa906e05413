using Pipeline.Contracts.Urls;

namespace Pipeline.Workers.Urls;

/// <summary>The rules of a <see cref="RefreshUrls"/> that need no database. Each answer names the field and the rule.</summary>
internal static class RefreshRules
{
    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(RefreshUrls command) =>
        command switch
        {
            { ProjectId: { } project } when project == Guid.Empty => "projectId: must not be all zeros.",
            { ImageId: { } image } when image == Guid.Empty => "imageId: must not be all zeros.",
            { ImageVersion: < 1 } => "imageVersion: must be 1 or more.",
            { ImageVersion: not null, ImageId: null } => "imageVersion: goes with an imageId alone.",
            // Every URL of every project at once would empty every browser's cache.
            { Force: true, ImageId: null, ProjectId: null } => "force: needs a projectId or an imageId.",
            _ => null,
        };
}
