using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>A command's id counts within its project, or else within its sender.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0017_scoped_ids")]
internal sealed class M0017ScopedIds() : SqlMigration("0017_scoped_ids.sql");
