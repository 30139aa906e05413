using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Npgsql;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Persistence;

/// <summary>The migrations are SQL and the model is C#: these hold the two together, and the views to their contract.</summary>
public sealed class SchemaTests(ScratchDatabase database) : IClassFixture<ScratchDatabase>
{
    // format_type names a column's type with its length, as EF Core does.
    private const string ColumnsSql = """
        select format('%s.%s %s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                      case when a.attnotnull then '' else ' null' end)
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
        order by c.relname collate "C", a.attnum
        """;

    private const string KeysSql = """
        select format('%s %s (%s)', c.conrelid::regclass, c.conname, string_agg(a.attname, ', ' order by k.place))
        from pg_constraint c
        cross join unnest(c.conkey) with ordinality as k (attnum, place)
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum
        where c.contype = 'p' and c.connamespace = 'pipeline'::regnamespace
        group by c.conrelid, c.conname order by 1
        """;

    // Written by SQL alone; an entity would be read by nobody.
    private static readonly string[] Unmapped =
    [
        "__EFMigrationsHistory",
        "catalog_entries",
        "catalog_objects",
        "catalog_rebuild_parts",
        "catalog_rebuild_requests",
        "catalog_rebuild_slots",
        "catalog_tallies",
        "deletion_keys",
        "erasure_counts",
        "erasures",
        "dead_letter_actions",
        "generation_attempts",
        "generation_leases",
        "generation_storyboard_items",
        "generation_storyboards",
        "held_objects",
        "image_replacements",
        "image_urls",
        "import_sources",
        "lane_suspects",
        "lanes",
        "object_holds",
        "outbox",
        "provider_gates",
        "purged_objects",
        "queues",
        "receipt_conflicts",
        "reconciliation_findings",
        "reconciliations",
        "upload_sweeps",
        "url_signings",
        "url_steps",
        "url_variants",
        "webhook_bindings",
        "webhook_deliveries",
        "webhook_subscriptions",
        "workers",
    ];

    [Fact]
    public async Task Mapped_columns_are_the_databases()
    {
        var there = await database.TextsAsync(ColumnsSql, "pipeline");
        var mapped = Tables()
            .SelectMany(table => table.Columns.Select(x => $"{table.Name}.{x.Name} {x.StoreType}{NullSuffix(x)}"))
            .ToArray();

        mapped.ShouldBe(there.Where(x => !Unmapped.Contains(TableOf(x))), StringComparer.Ordinal, ignoreOrder: true);
        mapped.ShouldContain(x => x == "images.sha256 character(64)");
    }

    [Fact]
    public async Task Mapped_keys_are_the_databases()
    {
        var there = await database.TextsAsync(KeysSql);
        var mapped = Tables()
            .Select(x => (x.Name, Key: x.PrimaryKey!))
            .Select(x => $"pipeline.{x.Name} {x.Key.Name} ({string.Join(", ", x.Key.Columns.Select(c => c.Name))})");

        mapped.Except(there, StringComparer.Ordinal).ShouldBeEmpty();
    }

    [Fact]
    public async Task Unmapped_tables_are_known()
    {
        var tables = (await database.TextsAsync(ColumnsSql, "pipeline"))
            .Select(TableOf)
            .Distinct(StringComparer.Ordinal);

        tables
            .Except(Tables().Select(x => x.Name), StringComparer.Ordinal)
            .ShouldBe(Unmapped, StringComparer.Ordinal, ignoreOrder: true);
    }

    [Fact]
    public async Task Views_have_the_columns_that_others_rely_on()
    {
        var columns = await database.TextsAsync(ColumnsSql, "status");

        (
            string.Join('\n', columns.Select(x => "status." + x.Replace(" null", "", StringComparison.Ordinal))) + '\n'
        ).ShouldBeApproved("StatusViews");
    }

    [Fact]
    public async Task Publisher_reads_every_view()
    {
        await using var publisher = NpgsqlDataSource.Create(database.ConnectionString("ConnectionStrings__Status"));
        var views = await database.TextsAsync("select viewname from pg_views where schemaname = 'status'");

        foreach (var view in views)
        {
            await using var read = publisher.CreateCommand($"select * from status.{view} limit 1");
            await read.ExecuteNonQueryAsync();
        }

        views.ShouldContain(x => x == "project_documents");
    }

    [Theory]
    [InlineData("select 1 from pipeline.projects")]
    [InlineData("select 1 from pipeline.receipts")]
    [InlineData(
        "insert into pipeline.outbox (exchange, routing_key, message_id, body, mandatory) values ('', '', gen_random_uuid(), '', true)"
    )]
    [InlineData("update status.receipts set outcome = 'applied'")]
    [InlineData("delete from status.catalog")]
    [InlineData("create table status.mine (id int)")]
    [InlineData("create table public.mine (id int)")]
    [InlineData("create schema mine")]
    [InlineData("drop view status.lanes")]
    public async Task Publisher_may_do_nothing_else(string sql)
    {
        await using var publisher = NpgsqlDataSource.Create(database.ConnectionString("ConnectionStrings__Status"));
        await using var command = publisher.CreateCommand(sql);

        var refused = await Should.ThrowAsync<PostgresException>(() => command.ExecuteNonQueryAsync());

        refused.SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege);
    }

    [Fact]
    public async Task Publisher_has_no_right_on_any_table_of_the_workers()
    {
        var rights = await database.TextsAsync(
            """
            select format('%s on %s', p, c.oid::regclass)
            from pg_class c cross join unnest('{select,insert,update,delete,truncate,references,trigger}'::text[]) as p
            where c.relkind in ('r', 'S', 'v') and c.relnamespace in ('pipeline'::regnamespace, 'status'::regnamespace)
                and case when c.relkind = 'S' then has_sequence_privilege('pipeline_publisher', c.oid, 'usage')
                         else has_table_privilege('pipeline_publisher', c.oid, p) end
                and not (p = 'select' and c.relnamespace = 'status'::regnamespace)
            """
        );

        rights.ShouldBeEmpty();
    }

    private static string NullSuffix(IColumn column) => column.IsNullable ? " null" : "";

    private static string TableOf(string column) => column[..column.IndexOf('.', StringComparison.Ordinal)];

    private ITable[] Tables()
    {
        using var db = database.NewContext();
        return [.. db.Model.GetRelationalModel().Tables];
    }
}
