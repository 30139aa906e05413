using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>A lease says how long it was taken for; failed requests are found where their save was replayed.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0018_lease_lengths")]
internal sealed class M0018LeaseLengths() : SqlMigration("0018_lease_lengths.sql");
