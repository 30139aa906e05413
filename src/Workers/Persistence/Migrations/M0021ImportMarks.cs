using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>The sweep of uploads does not wait for an empty queue.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0021_import_marks")]
internal sealed class M0021ImportMarks() : SqlMigration("0021_import_marks.sql");
