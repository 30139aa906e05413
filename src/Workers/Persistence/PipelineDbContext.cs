using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;

namespace Pipeline.Workers.Persistence;

/// <summary>
/// The workers' tables as entities. The lanes' hot path writes the same tables with set-based SQL; a test holds the
/// mapping and the database together, column by column.
/// </summary>
internal sealed class PipelineDbContext(DbContextOptions<PipelineDbContext> options) : DbContext(options)
{
    /// <summary>The schema that belongs to the workers alone.</summary>
    public const string Schema = "pipeline";

    /// <summary>True from the beginning of the one transaction that this context is for.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>
    /// Begins the context's only transaction. From now on the context keeps to this session, and ends with it.
    /// </summary>
    public async Task<IDbContextTransaction> BeginOnlyAsync(CancellationToken cancellation)
    {
        var transaction = await Database.BeginTransactionAsync(cancellation);
        HasBegun = true;
        return transaction;
    }

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema(Schema);
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(PipelineDbContext).Assembly);
    }
}
