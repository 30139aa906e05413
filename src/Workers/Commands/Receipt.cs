using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Pipeline.Wire;

namespace Pipeline.Workers.Commands;

/// <summary>The end of one command: the de-duplication, the answer and what was announced, in one row.</summary>
internal sealed class Receipt
{
    public required Guid CommandId { get; init; }

    /// <inheritdoc cref="CommandKey.Scope"/>
    public required Guid Scope { get; init; }

    /// <summary>For lists: the command's project, or that of what it was about; all zeros where there is none.</summary>
    public required Guid ProjectId { get; init; }

    /// <summary>The command's exchange, such as <c>save-image</c>.</summary>
    public required string Command { get; init; }

    /// <summary>SHA-256 of the command's content as the pipeline writes it, so that key order does not matter.</summary>
    public required byte[] RequestHash { get; init; }

    /// <summary>One of <see cref="Contracts.Receipts.Outcomes"/>.</summary>
    public required string Outcome { get; set; }

    public string? Reason { get; set; }

    /// <summary>The project's version after the write; null where nothing was written.</summary>
    public long? ProjectVersion { get; set; }

    /// <summary>How often a person had replayed the message when this was decided; only a failure is decided again.</summary>
    public required int Replays { get; set; }

    /// <summary>What was announced, as JSON; sent again, byte for byte, when the command is delivered again.</summary>
    public required string Announcements { get; set; }

    /// <summary>
    /// The command that the pipeline has sent because of this one, such as an import's save. Its id is drawn at random:
    /// nobody can use it up beforehand. Null where there is none.
    /// </summary>
    public Guid? FollowUpId { get; init; }

    public required DateTimeOffset At { get; set; }

    /// <summary>
    /// Where the first decision stands in the project's order, kept by a replay. Null for one that the database draws.
    /// </summary>
    public long? Place { get; init; }
}

internal sealed class ReceiptConfiguration : IEntityTypeConfiguration<Receipt>
{
    public void Configure(EntityTypeBuilder<Receipt> receipt)
    {
        receipt.ToTable("receipts");
        receipt.HasKey(x => new { x.CommandId, x.Scope }).HasName("pk_receipts");
        receipt.Property(x => x.CommandId).HasColumnName("command_id").ValueGeneratedNever();
        receipt.Property(x => x.Scope).HasColumnName("scope");
        receipt.Property(x => x.ProjectId).HasColumnName("project_id");
        receipt.Property(x => x.Command).HasColumnName("command").HasMaxLength(60);
        receipt.Property(x => x.RequestHash).HasColumnName("request_hash");
        receipt.Property(x => x.Outcome).HasColumnName("outcome").HasMaxLength(20);
        receipt.Property(x => x.Reason).HasColumnName("reason");
        receipt.Property(x => x.ProjectVersion).HasColumnName("project_version");
        receipt.Property(x => x.Replays).HasColumnName("replays");
        receipt.Property(x => x.Announcements).HasColumnName("announcements").HasColumnType("json");
        receipt.Property(x => x.FollowUpId).HasColumnName("follow_up_id");
        receipt.Property(x => x.At).HasColumnName("at");
        receipt
            .Property(x => x.Place)
            .HasColumnName("place")
            .IsRequired()
            .HasDefaultValueSql("nextval('pipeline.places')");
    }
}
