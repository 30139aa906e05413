using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Sweeps no longer move the times that make a row due.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0016_swept_at")]
internal sealed class M0016SweptAt() : SqlMigration("0016_swept_at.sql");
