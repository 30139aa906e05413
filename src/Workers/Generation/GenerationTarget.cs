using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Images;

namespace Pipeline.Workers.Generation;

/// <summary>Whose requests a command to a generation is about.</summary>
/// <param name="ProjectId">The project that has asked.</param>
/// <param name="ImageId">One of its images; null for all.</param>
internal sealed record Asker(Guid ProjectId, Guid? ImageId)
{
    /// <exception cref="ArgumentException">The command is not one of those to a generation.</exception>
    public static Asker Of(object command) =>
        command switch
        {
            CancelGeneration x => new(x.ProjectId, x.ImageId),
            RetryGeneration x => new(x.ProjectId, x.ImageId),
            _ => throw new ArgumentException($"{command.GetType()} names no asker.", nameof(command)),
        };
}

/// <summary>One request for the picture: who wants it, where, and what became of it.</summary>
internal sealed class GenerationTarget
{
    public required Guid CommandId { get; init; }

    public CommandKey Key => new(ProjectId, CommandId);

    public required Guid GenerationId { get; init; }

    public required Guid ProjectId { get; init; }

    public required Guid ImageId { get; init; }

    public string? SceneId { get; init; }

    public int? SceneIndex { get; init; }

    public required int Slot { get; init; }

    public required byte[] RequestHash { get; init; }

    /// <summary>No attempt begins for this request after it; null for none.</summary>
    public DateTimeOffset? DeadlineAt { get; set; }

    /// <summary>
    /// Set when the picture is handed to the import; drawn at random, so that no other sender can use it up beforehand.
    /// </summary>
    public Guid? ImportCommandId { get; set; }

    /// <summary>Null while the request is open.</summary>
    public string? Outcome { get; set; }

    /// <summary>When the sweep last told the saga of the end in the lane.</summary>
    public DateTimeOffset? ToldAt { get; set; }

    /// <summary>When the image was found to be purged, so that it does not need the generation any more.</summary>
    public DateTimeOffset? ReleasedAt { get; set; }

    public required DateTimeOffset CreatedAt { get; init; }
}

internal sealed class GenerationTargetConfiguration : IEntityTypeConfiguration<GenerationTarget>
{
    public void Configure(EntityTypeBuilder<GenerationTarget> target)
    {
        target.ToTable("generation_targets");
        target.HasKey(x => new { x.CommandId, x.ProjectId }).HasName("pk_generation_targets");
        target.Property(x => x.CommandId).HasColumnName("command_id").ValueGeneratedNever();
        target.Ignore(x => x.Key);
        target.Property(x => x.GenerationId).HasColumnName("generation_id");
        target.Property(x => x.ProjectId).HasColumnName("project_id");
        target.Property(x => x.ImageId).HasColumnName("image_id");
        target.Property(x => x.SceneId).HasColumnName("scene_id").HasMaxLength(Scene.IdLength);
        target.Property(x => x.SceneIndex).HasColumnName("scene_index");
        target.Property(x => x.Slot).HasColumnName("slot");
        target.Property(x => x.RequestHash).HasColumnName("request_hash");
        target.Property(x => x.DeadlineAt).HasColumnName("deadline_at");
        target.Property(x => x.ImportCommandId).HasColumnName("import_command_id");
        target.Property(x => x.Outcome).HasColumnName("outcome").HasMaxLength(20);
        target.Property(x => x.ToldAt).HasColumnName("told_at");
        target.Property(x => x.ReleasedAt).HasColumnName("released_at");
        target.Property(x => x.CreatedAt).HasColumnName("created_at");
    }
}
