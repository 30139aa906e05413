using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Who counts on an object, and the last word on whether an image exists.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0019_stores_agree")]
internal sealed class M0019StoresAgree() : SqlMigration("0019_stores_agree.sql");
