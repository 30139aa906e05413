using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Indexes for every statement, and figures that are not counted anew for each reader.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0020_query_plans")]
internal sealed class M0020QueryPlans() : SqlMigration("0020_query_plans.sql");
