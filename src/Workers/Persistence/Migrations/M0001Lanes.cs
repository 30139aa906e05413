using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Projects, scenes, pictures, receipts, the outbox, lanes and their leases; the first views.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0001_lanes")]
internal sealed class M0001Lanes() : SqlMigration("0001_lanes.sql", "0001_status.sql");
