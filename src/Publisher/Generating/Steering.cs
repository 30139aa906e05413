namespace Pipeline.Publisher.Generating;

/// <summary>Whose requests a person steers.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="ProjectId">The project that has asked for it.</param>
/// <param name="ImageId">One of its images; null for all.</param>
internal sealed record Steering(Guid GenerationId, Guid ProjectId, Guid? ImageId)
{
    /// <param name="id">A request, which names its own project and image, or a generation.</param>
    /// <param name="status">What was found under the id.</param>
    /// <param name="project">Null for the request's own; another one means all of that project's requests.</param>
    /// <param name="image">Null for the request's own, or for all where a project is given.</param>
    /// <returns>Null where neither the id nor the caller names a project.</returns>
    public static Steering? Of(Guid id, GenerationStatus status, Guid? project, Guid? image)
    {
        if (project is { } given)
            return new Steering(status.Generation.Id, given, image);
        var request = status.Targets.FirstOrDefault(x => x.CommandId == id);
        return request is null ? null : new Steering(status.Generation.Id, request.ProjectId, image ?? request.ImageId);
    }
}
