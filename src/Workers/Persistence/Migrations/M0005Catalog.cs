using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>The catalogue: entries that remember what is gone, tallies, rebuilds, and the function for SQL callers.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0005_catalog")]
internal sealed class M0005Catalog() : SqlMigration("0005_catalog.sql");
