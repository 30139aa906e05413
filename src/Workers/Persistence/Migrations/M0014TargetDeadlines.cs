using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>The deadline of each request for an image.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0014_target_deadlines")]
internal sealed class M0014TargetDeadlines() : SqlMigration("0014_target_deadlines.sql");
