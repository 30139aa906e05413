using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Pipeline.Workers.Images;

/// <summary>One scene of a project's storyboard.</summary>
internal sealed class Scene
{
    /// <summary>Limit of a scene's id, in characters: long enough for a UUID with a prefix, short enough for an index.</summary>
    public const int IdLength = Contracts.Limits.SceneIdLength;

    public required Guid ProjectId { get; init; }

    public required string SceneId { get; init; }

    public required int Index { get; init; }

    public string? Prompt { get; init; }
}

internal sealed class SceneConfiguration : IEntityTypeConfiguration<Scene>
{
    public void Configure(EntityTypeBuilder<Scene> scene)
    {
        scene.ToTable("scenes");
        scene.HasKey(x => new { x.ProjectId, x.SceneId }).HasName("pk_scenes");
        scene.Property(x => x.ProjectId).HasColumnName("project_id");
        scene.Property(x => x.SceneId).HasColumnName("scene_id").HasMaxLength(Scene.IdLength);
        scene.Property(x => x.Index).HasColumnName("index");
        scene.Property(x => x.Prompt).HasColumnName("prompt");
    }
}
