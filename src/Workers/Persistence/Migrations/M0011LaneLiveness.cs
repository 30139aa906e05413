using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Lanes: who may take them, and commands that are suspected of ending their workers.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0011_lane_liveness")]
internal sealed class M0011LaneLiveness() : SqlMigration("0011_lane_liveness.sql");
