using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Uploads: what imports read, and the sweep of what nobody came back for.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0006_uploads")]
internal sealed class M0006Uploads() : SqlMigration("0006_uploads.sql");
