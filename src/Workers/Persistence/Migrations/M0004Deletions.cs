using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Replacing and deleting: tombstones, awaited replacements, the deletions' saga and what it purges.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0004_deletions")]
internal sealed class M0004Deletions() : SqlMigration("0004_deletions.sql");
