using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Pipeline.Workers.Images;

/// <summary>One project. Whoever writes to it locks this row first, so that its writes are one after the other.</summary>
internal sealed class Project
{
    public required Guid Id { get; init; }

    /// <summary>Rises by one with each applied write.</summary>
    public required long Version { get; set; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; set; }

    public DateTimeOffset? DeletedAt { get; set; }

    /// <summary>The deletion that made the tombstone.</summary>
    public Guid? DeletionId { get; set; }

    /// <summary>Since when the pictures' bytes are being purged; from then on nothing brings the project back.</summary>
    public DateTimeOffset? PurgeStartedAt { get; set; }

    /// <summary>Since when it is to be erased; from then on nothing brings it back either.</summary>
    public DateTimeOffset? ErasedAt { get; set; }

    /// <summary>The place of the last deletion or restoration, also of one that changed nothing; 0 before the first.</summary>
    public long LifecyclePlace { get; init; }
}

internal sealed class ProjectConfiguration : IEntityTypeConfiguration<Project>
{
    public void Configure(EntityTypeBuilder<Project> project)
    {
        project.ToTable("projects");
        project.HasKey(x => x.Id).HasName("pk_projects");
        project.Property(x => x.Id).HasColumnName("id").ValueGeneratedNever();
        project.Property(x => x.Version).HasColumnName("version");
        project.Property(x => x.CreatedAt).HasColumnName("created_at");
        project.Property(x => x.UpdatedAt).HasColumnName("updated_at");
        project.Property(x => x.DeletedAt).HasColumnName("deleted_at");
        project.Property(x => x.DeletionId).HasColumnName("deletion_id");
        project.Property(x => x.PurgeStartedAt).HasColumnName("purge_started_at");
        project.Property(x => x.ErasedAt).HasColumnName("erased_at");
        project.Property(x => x.LifecyclePlace).HasColumnName("lifecycle_place").HasDefaultValue(0L);
    }
}
