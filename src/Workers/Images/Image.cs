using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Pipeline.Workers.Images;

/// <summary>One picture of a project. The row outlives the object: a deleted picture stays as a tombstone.</summary>
internal sealed class Image
{
    /// <summary>Limit of an S3 object key, in bytes of UTF-8 (S3 user guide, "Naming Amazon S3 objects").</summary>
    public const int ObjectKeyLength = 1024;

    public required Guid Id { get; init; }

    public required Guid ProjectId { get; init; }

    /// <summary>The wanted scene; it need not be there yet.</summary>
    public string? SceneId { get; set; }

    /// <summary>The wanted scene's place, where the command named the scene so; an id, once known, wins.</summary>
    public int? SceneIndex { get; set; }

    public required int Slot { get; set; }

    /// <summary>1 for new bytes; rises when they are replaced.</summary>
    public required int Version { get; set; }

    public required string ObjectKey { get; set; }

    public required string Sha256 { get; set; }

    public required string ContentType { get; set; }

    public required long ByteLength { get; set; }

    public required int Width { get; set; }

    public required int Height { get; set; }

    public required bool ObjectSeen { get; set; }

    /// <summary>How often the store was asked for an object that was not there.</summary>
    public int ObjectChecks { get; set; }

    /// <summary>When to ask again; null once the object is seen, and where its key was given up.</summary>
    public DateTimeOffset? ObjectCheckAt { get; set; }

    public required bool Placed { get; set; }

    public required long ProjectVersion { get; set; }

    public required DateTimeOffset SavedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; set; }

    public DateTimeOffset? DeletedAt { get; set; }

    /// <summary>The deletion that made the tombstone.</summary>
    public Guid? DeletionId { get; set; }

    /// <summary>Since when the bytes are being purged; from then on nothing brings the picture back.</summary>
    public DateTimeOffset? PurgeStartedAt { get; set; }

    /// <summary>The place of the picture's save in its project's order; see <see cref="Commands.Receipt.Place"/>.</summary>
    public long Place { get; init; }

    /// <summary>The place of the last save, deletion or restoration, also of one that changed nothing.</summary>
    public long LifecyclePlace { get; init; }
}

internal sealed class ImageConfiguration : IEntityTypeConfiguration<Image>
{
    public void Configure(EntityTypeBuilder<Image> image)
    {
        image.ToTable("images");
        image.HasKey(x => x.Id).HasName("pk_images");
        image.Property(x => x.Id).HasColumnName("id").ValueGeneratedNever();
        image.Property(x => x.ProjectId).HasColumnName("project_id");
        image.Property(x => x.SceneId).HasColumnName("scene_id").HasMaxLength(Scene.IdLength);
        image.Property(x => x.SceneIndex).HasColumnName("scene_index");
        image.Property(x => x.Slot).HasColumnName("slot");
        image.Property(x => x.Version).HasColumnName("version");
        image.Property(x => x.ObjectKey).HasColumnName("object_key").HasMaxLength(Image.ObjectKeyLength);
        image.Property(x => x.Sha256).HasColumnName("sha256").HasMaxLength(64).IsFixedLength();
        image.Property(x => x.ContentType).HasColumnName("content_type").HasMaxLength(20);
        image.Property(x => x.ByteLength).HasColumnName("byte_length");
        image.Property(x => x.Width).HasColumnName("width");
        image.Property(x => x.Height).HasColumnName("height");
        image.Property(x => x.ObjectSeen).HasColumnName("object_seen");
        image.Property(x => x.ObjectChecks).HasColumnName("object_checks");
        image.Property(x => x.ObjectCheckAt).HasColumnName("object_check_at");
        image.Property(x => x.Placed).HasColumnName("placed");
        image.Property(x => x.ProjectVersion).HasColumnName("project_version");
        image.Property(x => x.SavedAt).HasColumnName("saved_at");
        image.Property(x => x.UpdatedAt).HasColumnName("updated_at");
        image.Property(x => x.DeletedAt).HasColumnName("deleted_at");
        image.Property(x => x.DeletionId).HasColumnName("deletion_id");
        image.Property(x => x.PurgeStartedAt).HasColumnName("purge_started_at");
        image.Property(x => x.Place).HasColumnName("place").HasDefaultValueSql("nextval('pipeline.places')");
        image.Property(x => x.LifecyclePlace).HasColumnName("lifecycle_place").HasDefaultValue(0L);
    }
}
