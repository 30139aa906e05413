using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Generation: the saga's row, its targets, leases, storyboards and the providers' gates.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0002_generation")]
internal sealed class M0002Generation() : SqlMigration("0002_generation.sql");
