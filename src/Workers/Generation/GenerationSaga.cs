using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Pipeline.Workers.Generation;

/// <summary>One picture to render, for everyone who asked for it. Only <see cref="GenerationStateMachine"/> changes it.</summary>
internal sealed class GenerationSaga : SagaStateMachineInstance
{
    public Guid CorrelationId { get; set; }

    public string CurrentState { get; set; } = null!;

    public string RequestHash { get; set; } = null!;

    public string Prompt { get; set; } = null!;

    public string Model { get; set; } = null!;

    public int Width { get; set; }

    public int Height { get; set; }

    public long? Seed { get; set; }

    /// <summary>The model's own settings, as JSON.</summary>
    public string? Options { get; set; }

    /// <summary>The current attempt, from 1; it never falls, so that a late answer is always told apart.</summary>
    public int Attempt { get; set; }

    /// <summary>Attempts before the last new beginning: the limit counts from here.</summary>
    public int AttemptsFrom { get; set; }

    /// <summary>When a waiting attempt may begin; null while none waits.</summary>
    public DateTimeOffset? DueAt { get; set; }

    /// <summary>The latest deadline of those who asked; null where one of them set none.</summary>
    public DateTimeOffset? DeadlineAt { get; set; }

    /// <summary>The rendered picture.</summary>
    public string? ObjectKey { get; set; }

    public string? FailureKind { get; set; }

    public string? FailureReason { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    public DateTimeOffset UpdatedAt { get; set; }

    /// <summary>When the sweep last sent its message; nothing else writes it.</summary>
    public DateTimeOffset? SweptAt { get; set; }
}

internal sealed class GenerationSagaConfiguration : IEntityTypeConfiguration<GenerationSaga>
{
    public void Configure(EntityTypeBuilder<GenerationSaga> saga)
    {
        saga.ToTable("generation_requests");
        saga.HasKey(x => x.CorrelationId).HasName("pk_generation_requests");
        saga.Property(x => x.CorrelationId).HasColumnName("correlation_id").ValueGeneratedNever();
        saga.Property(x => x.CurrentState).HasColumnName("current_state").HasMaxLength(20);
        saga.Property(x => x.RequestHash).HasColumnName("request_hash").HasMaxLength(120);
        saga.Property(x => x.Prompt).HasColumnName("prompt");
        saga.Property(x => x.Model).HasColumnName("model").HasMaxLength(100);
        saga.Property(x => x.Width).HasColumnName("width");
        saga.Property(x => x.Height).HasColumnName("height");
        saga.Property(x => x.Seed).HasColumnName("seed");
        saga.Property(x => x.Options).HasColumnName("options").HasColumnType("jsonb");
        saga.Property(x => x.Attempt).HasColumnName("attempt");
        saga.Property(x => x.AttemptsFrom).HasColumnName("attempts_from");
        saga.Property(x => x.DueAt).HasColumnName("due_at");
        saga.Property(x => x.DeadlineAt).HasColumnName("deadline_at");
        saga.Property(x => x.ObjectKey).HasColumnName("object_key").HasMaxLength(1024);
        saga.Property(x => x.FailureKind).HasColumnName("failure_kind").HasMaxLength(20);
        saga.Property(x => x.FailureReason).HasColumnName("failure_reason");
        saga.Property(x => x.CreatedAt).HasColumnName("created_at");
        saga.Property(x => x.UpdatedAt).HasColumnName("updated_at");
        saga.Property(x => x.SweptAt).HasColumnName("swept_at");
    }
}
