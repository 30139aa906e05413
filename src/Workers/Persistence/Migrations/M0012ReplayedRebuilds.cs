using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Requests for a rebuild that had failed and were replayed.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0012_replayed_rebuilds")]
internal sealed class M0012ReplayedRebuilds() : SqlMigration("0012_replayed_rebuilds.sql");
