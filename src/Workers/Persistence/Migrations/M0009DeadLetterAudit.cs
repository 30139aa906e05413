using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>The queues, what people did about dead letters, and a write's place in its project's order.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0009_dead_letter_audit")]
internal sealed class M0009DeadLetterAudit() : SqlMigration("0009_dead_letter_audit.sql");
