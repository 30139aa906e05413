using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Removing what was generated, and erasing projects.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0015_erasures")]
internal sealed class M0015Erasures() : SqlMigration("0015_erasures.sql");
