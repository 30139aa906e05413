using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Pipeline.Workers.Cataloguing;

/// <summary>One rebuild of a bucket's catalogue. Only <see cref="CatalogRebuildStateMachine"/> changes it.</summary>
internal sealed class CatalogRebuildSaga : SagaStateMachineInstance
{
    public Guid CorrelationId { get; set; }

    public string CurrentState { get; set; } = null!;

    public string Bucket { get; set; } = null!;

    /// <summary>Objects in the catalogue at the start; what the estimate of the end goes by.</summary>
    public long ExpectedKeys { get; set; }

    /// <summary>Like <see cref="Pages"/>, <see cref="Keys"/> and <see cref="Removed"/> 0 until the end; the parts tell.</summary>
    public int Partitions { get; set; }

    public long Pages { get; set; }

    public long Keys { get; set; }

    public long Removed { get; set; }

    public string? FailureReason { get; set; }

    /// <summary>By the database's clock, as all times of entries are.</summary>
    public DateTimeOffset StartedAt { get; set; }

    public DateTimeOffset? EndedAt { get; set; }
}

internal sealed class CatalogRebuildSagaConfiguration : IEntityTypeConfiguration<CatalogRebuildSaga>
{
    public void Configure(EntityTypeBuilder<CatalogRebuildSaga> saga)
    {
        saga.ToTable("catalog_rebuilds");
        saga.HasKey(x => x.CorrelationId).HasName("pk_catalog_rebuilds");
        saga.Property(x => x.CorrelationId).HasColumnName("correlation_id").ValueGeneratedNever();
        saga.Property(x => x.CurrentState).HasColumnName("current_state").HasMaxLength(20);
        saga.Property(x => x.Bucket).HasColumnName("bucket").HasMaxLength(63);
        saga.Property(x => x.ExpectedKeys).HasColumnName("expected_keys");
        saga.Property(x => x.Partitions).HasColumnName("partitions");
        saga.Property(x => x.Pages).HasColumnName("pages");
        saga.Property(x => x.Keys).HasColumnName("keys");
        saga.Property(x => x.Removed).HasColumnName("removed");
        saga.Property(x => x.FailureReason).HasColumnName("failure_reason");
        saga.Property(x => x.StartedAt).HasColumnName("started_at");
        saga.Property(x => x.EndedAt).HasColumnName("ended_at");
    }
}
