using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;

namespace Pipeline.Workers.Deleting;

/// <summary>
/// One deletion, of a picture, a project or an object. A lane's command writes the row with its tombstone, as
/// <c>Tombstoned</c>.
/// </summary>
internal sealed class DeletionSaga : SagaStateMachineInstance, IProjectSaga
{
    public const string Image = "image";
    public const string Project = "project";
    public const string Object = "object";

    public Guid CorrelationId { get; set; }

    public string CurrentState { get; set; } = null!;

    /// <summary><see cref="Image"/>, <see cref="Project"/> or <see cref="Object"/>.</summary>
    public string Kind { get; set; } = null!;

    public Guid ProjectId { get; set; }

    /// <summary>Null for a project.</summary>
    public Guid? ImageId { get; set; }

    /// <summary>Of an object's deletion only.</summary>
    public string? ObjectKey { get; set; }

    /// <summary>What asked for it.</summary>
    public Guid CommandId { get; set; }

    /// <summary>Rises with each step that is sent, so that a late answer is told apart.</summary>
    public int Attempt { get; set; }

    /// <summary>Since the last step that succeeded.</summary>
    public int Failures { get; set; }

    /// <summary>Those of <see cref="Failures"/> that were refusals, since the store last said that nothing is left.</summary>
    public int Refusals { get; set; }

    public DateTimeOffset? FailingSince { get; set; }

    public string? FailureReason { get; set; }

    /// <summary>When it goes on; null while a step is with the workers, or it has ended.</summary>
    public DateTimeOffset? DueAt { get; set; }

    /// <summary>Objects that a completed one has purged.</summary>
    public int PurgedKeys { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    public DateTimeOffset UpdatedAt { get; set; }

    /// <summary>When the sweep last sent its message; nothing else writes it.</summary>
    public DateTimeOffset? SweptAt { get; set; }
}

internal sealed class DeletionSagaConfiguration : IEntityTypeConfiguration<DeletionSaga>
{
    public void Configure(EntityTypeBuilder<DeletionSaga> saga)
    {
        saga.ToTable("deletions");
        saga.HasKey(x => x.CorrelationId).HasName("pk_deletions");
        saga.Property(x => x.CorrelationId).HasColumnName("correlation_id").ValueGeneratedNever();
        saga.Property(x => x.CurrentState).HasColumnName("current_state").HasMaxLength(20);
        saga.Property(x => x.Kind).HasColumnName("kind").HasMaxLength(10);
        saga.Property(x => x.ProjectId).HasColumnName("project_id");
        saga.Property(x => x.ImageId).HasColumnName("image_id");
        saga.Property(x => x.ObjectKey).HasColumnName("object_key").HasMaxLength(1024);
        saga.Property(x => x.CommandId).HasColumnName("command_id");
        saga.Property(x => x.Attempt).HasColumnName("attempt");
        saga.Property(x => x.Failures).HasColumnName("failures");
        saga.Property(x => x.Refusals).HasColumnName("refusals");
        saga.Property(x => x.FailingSince).HasColumnName("failing_since");
        saga.Property(x => x.FailureReason).HasColumnName("failure_reason");
        saga.Property(x => x.DueAt).HasColumnName("due_at");
        saga.Property(x => x.PurgedKeys).HasColumnName("purged_keys");
        saga.Property(x => x.CreatedAt).HasColumnName("created_at");
        saga.Property(x => x.UpdatedAt).HasColumnName("updated_at");
        saga.Property(x => x.SweptAt).HasColumnName("swept_at");
    }
}
