using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Indexes by which the retention sweep finds old rows.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0013_retention")]
internal sealed class M0013Retention() : SqlMigration("0013_retention.sql");
