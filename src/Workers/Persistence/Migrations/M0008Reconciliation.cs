using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Reconciliation: its runs and what they found.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0008_reconciliation")]
internal sealed class M0008Reconciliation() : SqlMigration("0008_reconciliation.sql");
