using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>The options of a generation in its view.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0007_generation_options")]
internal sealed class M0007GenerationOptions() : SqlMigration("0007_generation_options.sql");
