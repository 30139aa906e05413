using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>URLs: what is signed for each picture, who is signing, and how the steps have fared.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0003_urls")]
internal sealed class M0003Urls() : SqlMigration("0003_urls.sql");
