using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Workers.Persistence;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Persistence;

/// <summary>No table grows with the traffic for ever.</summary>
public sealed class RetentionTests(ScratchDatabase database) : IClassFixture<ScratchDatabase>
{
    private const int Old = 2_500; // Several batches.
    private const int Recent = 3;
    private const int Open = 2;

    private const string FillSql = """
        insert into pipeline.receipts
            (command_id, project_id, command, request_hash, outcome, replays, announcements, at, scope)
        select gen_random_uuid(), gen_random_uuid(), 'save-image', '\x00', 'applied', 0, '[]', $2, gen_random_uuid()
        from generate_series(1, $1);
        insert into pipeline.receipt_conflicts (command_id, scope, request_hash, project_id, command, body, at)
        select gen_random_uuid(), gen_random_uuid(), '\x00', gen_random_uuid(), 'save-image', '{}', $2
        from generate_series(1, $1);
        insert into pipeline.dead_letter_actions (action_id, run_id, action, queue, replays, done_by, begun_at)
        select gen_random_uuid(), gen_random_uuid(), 'replay', 'deletion_error', 1, 'jane', $2
        from generate_series(1, $1);
        insert into pipeline.purged_objects (key, image_id, purged_at)
        select gen_random_uuid()::text, gen_random_uuid(), $2 from generate_series(1, $1);
        insert into pipeline.import_sources (key, project_id, command_id, begun_at)
        select 'key', gen_random_uuid(), gen_random_uuid(), $2 from generate_series(1, $1);
        insert into pipeline.object_holds (key, command_id, project_id, image_id, held_at)
        select 'key', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), $2 from generate_series(1, $1);
        insert into pipeline.lane_suspects (project_id, command_id, worker_id, lane, started_at)
        select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 0, $2 from generate_series(1, $1);
        insert into pipeline.generation_leases (generation_id, attempt, epoch, worker_id, lease_until)
        select gen_random_uuid(), 1, 1, gen_random_uuid(), $2 from generate_series(1, $1);
        """;

    // What has an end, and its parts.
    private const string CoursesSql = """
        with g as (
            insert into pipeline.generation_requests
                (correlation_id, request_hash, current_state, prompt, model, width, height, attempt, attempts_from,
                 created_at, updated_at)
            select gen_random_uuid(), gen_random_uuid()::text, case when $3 then 'Completed' else 'Saving' end, 'a kite',
                   'painter', 1, 1, 1, 0, $2, $2
            from generate_series(1, $1) returning correlation_id
        ), t as (
            insert into pipeline.generation_targets
                (command_id, generation_id, project_id, image_id, slot, request_hash, outcome, created_at)
            select gen_random_uuid(), correlation_id, gen_random_uuid(), gen_random_uuid(), 0, '\x00',
                   case when $3 then 'applied' end, $2
            from g
        )
        insert into pipeline.generation_attempts (generation_id, attempt, outcome, ended_at)
        select correlation_id, 1, 'succeeded', $2 from g;
        with s as (
            insert into pipeline.generation_storyboards (command_id, project_id, requested, created_at, completed_at)
            select gen_random_uuid(), gen_random_uuid(), 1, $2, case when $3 then $2 end
            from generate_series(1, $1) returning command_id, project_id
        )
        insert into pipeline.generation_storyboard_items (storyboard_id, project_id, command_id, scene_id, slot)
        select command_id, project_id, gen_random_uuid(), 'scene', 0 from s;
        with d as (
            insert into pipeline.deletions
                (correlation_id, current_state, kind, project_id, command_id, attempt, failures, purged_keys, created_at,
                 updated_at)
            select gen_random_uuid(), case when $3 then 'Completed' else 'Failed' end, 'image', gen_random_uuid(),
                   gen_random_uuid(), 1, 0, 1, $2, $2
            from generate_series(1, $1) returning correlation_id
        )
        insert into pipeline.deletion_keys (deletion_id, key) select correlation_id, 'key' from d;
        with r as (
            insert into pipeline.catalog_rebuilds
                (correlation_id, current_state, bucket, expected_keys, partitions, pages, keys, removed, started_at,
                 ended_at)
            select gen_random_uuid(), 'Listing', 'bucket', 0, 1, 1, 1, 0, $2, case when $3 then $2 end
            from generate_series(1, $1) returning correlation_id
        ), p as (
            insert into pipeline.catalog_rebuild_parts (rebuild_id, number) select correlation_id, 0 from r
        )
        insert into pipeline.catalog_rebuild_requests (command_id, scope, rebuild_id, joined)
        select gen_random_uuid(), gen_random_uuid(), correlation_id, false from r;
        with r as (
            insert into pipeline.reconciliations
                (id, bucket, state, request, replays, grace, cutoff, read_bytes, lease_until, started_at, updated_at,
                 ended_at, scope)
            select gen_random_uuid(), gen_random_uuid()::text, case when $3 then 'Completed' else 'Comparing' end, '', 0,
                   interval '0', $2, false, $2, $2, $2, case when $3 then $2 end, gen_random_uuid()
            from generate_series(1, $1) returning id
        )
        insert into pipeline.reconciliation_findings (reconciliation_id, number, kind, key, detail)
        select id, 1, 'entry-without-object', 'key', '' from r;
        with e as (
            insert into pipeline.erasures (id, command_id, project_id, due_at, created_at, updated_at, ended_at)
            select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), $2, $2, $2, case when $3 then $2 end
            from generate_series(1, $1) returning id
        )
        insert into pipeline.erasure_counts (erasure_id, location, count) select id, 'receipts', 1 from e;
        """;

    // Their rows are those of living things, or something else empties them.
    private static readonly Dictionary<string, string> Bounded = new(StringComparer.Ordinal)
    {
        ["projects"] = "one a project; the tombstone of a deleted one keeps a late command from making it anew",
        ["scenes"] = "of living projects",
        ["images"] = "one an image, and a tombstone likewise",
        ["image_replacements"] = "at most one an image",
        ["image_urls"] = "of living images",
        ["url_signings"] = "of living images",
        ["url_variants"] = "as the settings say",
        ["url_steps"] = "30 days, by the sweep of URLs",
        ["outbox"] = "emptied by its relay",
        ["workers"] = "those that live",
        ["lanes"] = "as many as Lanes__Count",
        ["queues"] = "as many as queues",
        ["provider_gates"] = "one a provider",
        ["upload_sweeps"] = "one a kind of leftover",
        ["catalog_entries"] = "one an object; Cataloguing__GoneFor after it is gone",
        ["catalog_tallies"] = "added up by the catalogue's sweep",
        ["catalog_rebuild_slots"] = "at most one a bucket",
        ["webhook_subscriptions"] = "Webhooks__Retention",
        ["webhook_deliveries"] = "Webhooks__Retention",
        ["webhook_bindings"] = "as subscriptions want them",
        ["__EFMigrationsHistory"] = "one a migration",
    };

    private readonly RetentionRule[] _rules = ReadRules();

    [Fact]
    public async Task Every_table_has_a_time_limit_or_a_bound()
    {
        var tables = await database.TextsAsync(
            "select relname from pg_class where relnamespace = 'pipeline'::regnamespace and relkind = 'r'"
        );

        tables.ShouldBe(_rules.Select(x => x.Table).Concat(Bounded.Keys), StringComparer.Ordinal, ignoreOrder: true);
    }

    [Fact]
    public async Task Database_of_a_year_is_small_and_keeps_what_is_recent_or_open()
    {
        var (longAgo, lately) = (TimeProvider.System.GetUtcNow().AddDays(-400), TimeProvider.System.GetUtcNow());
        await database.FillAsync(FillSql, Old, longAgo);
        await database.FillAsync(FillSql, Recent, lately);
        await database.FillAsync(CoursesSql, Old, longAgo, true);
        await database.FillAsync(CoursesSql, Recent, lately, true);
        await database.FillAsync(CoursesSql, Open, longAgo, false);
        using var sweeper = new RetentionSweeper(
            _rules,
            database.Source,
            TimeProvider.System,
            NullLogger<RetentionSweeper>.Instance
        );

        await sweeper.SweepNowAsync(default);

        foreach (var table in _rules.Select(x => x.Table))
        {
            var isCourse = CoursesSql.Contains($"pipeline.{table}", StringComparison.Ordinal);
            var left = await database.TextsAsync($"select count(*) from pipeline.{table}");
            left.ShouldBe([$"{(isCourse ? Recent + Open : Recent)}"], table);
        }
    }

    internal static RetentionRule[] ReadRules()
    {
        using var worker = WorkerHost.Build();
        return [.. worker.Services.GetServices<RetentionRule>()];
    }
}
