using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>Outgoing webhooks: subscriptions, deliveries, the queue's bindings.</summary>
[DbContext(typeof(PipelineDbContext))]
[Migration("0010_webhooks")]
internal sealed class M0010Webhooks() : SqlMigration("0010_webhooks.sql");
