using Microsoft.EntityFrameworkCore;

namespace Pipeline.Workers.Persistence;

/// <summary>
/// The workers' tables as entities. The lanes' hot path writes the same tables with set-based SQL; a test holds the
/// mapping and the database together, column by column.
/// </summary>
internal sealed class PipelineDbContext(DbContextOptions<PipelineDbContext> options) : DbContext(options)
{
    /// <summary>The schema that belongs to the workers alone.</summary>
    public const string Schema = "pipeline";

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema(Schema);
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(PipelineDbContext).Assembly);
    }
}
