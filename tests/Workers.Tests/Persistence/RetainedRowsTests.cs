using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Workers.Persistence;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Persistence;

/// <summary>Rows that are old and still needed.</summary>
public sealed class RetainedRowsTests(ScratchDatabase database) : IClassFixture<ScratchDatabase>
{
    // The newest storyboard of a project; the upload of a failed import; a key that a failed deletion has left.
    private const string NeededSql = """
        insert into pipeline.receipts
            (command_id, project_id, command, request_hash, outcome, replays, announcements, at, place, scope)
        select gen_random_uuid(), '11111111-1111-4111-8111-111111111111', 'define-scenes', '\x00', o, 0, '[]',
               least($1, $2), p, '11111111-1111-4111-8111-111111111111'
        from unnest(array['applied', 'unchanged', 'failed'], array[1, 2, 3]) as x (o, p);
        insert into pipeline.receipts
            (command_id, project_id, command, request_hash, outcome, replays, announcements, at, scope)
        select c::uuid, '11111111-1111-4111-8111-111111111111', 'import-image', '\x00', o, 0, '[]', greatest($1, $2),
               '11111111-1111-4111-8111-111111111111'
        from unnest(array['22222222-2222-4222-8222-222222222222', '33333333-3333-4333-8333-333333333333'],
                    array['failed', 'applied']) as x (c, o);
        insert into pipeline.import_sources (key, command_id, project_id, begun_at)
        select k, c::uuid, '11111111-1111-4111-8111-111111111111', least($1, $2)
        from unnest(array['22222222-2222-4222-8222-222222222222', '33333333-3333-4333-8333-333333333333'],
                    array['uploads/of a failed import', 'uploads/of another']) as x (c, k);
        insert into pipeline.purged_objects (key, image_id, purged_at)
        select k, gen_random_uuid(), least($1, $2)
        from unnest(array['projects/of an open deletion', 'projects/of a hidden image', 'projects/of another']) as k;
        with p as (
            insert into pipeline.projects (id, version, created_at, updated_at)
            values ('11111111-1111-4111-8111-111111111111', 1, least($1, $2), $1)
        )
        insert into pipeline.images
            (id, project_id, slot, version, object_key, sha256, content_type, byte_length, width, height, object_seen,
             placed, project_version, saved_at, updated_at)
        values (gen_random_uuid(), '11111111-1111-4111-8111-111111111111', 0, 1, 'projects/of a hidden image',
                repeat('a', 64), 'image/png', 1, 1, 1, false, false, 1, $1, $2);
        with d as (
            insert into pipeline.deletions
                (correlation_id, current_state, kind, project_id, command_id, attempt, failures, purged_keys, created_at,
                 updated_at)
            select gen_random_uuid(), 'Failed', 'image', gen_random_uuid(), gen_random_uuid(), 1, 0, 0, $1, $2
            returning correlation_id
        )
        insert into pipeline.deletion_keys (deletion_id, key) select correlation_id, 'projects/of an open deletion' from d;
        """;

    /// <summary>What others still need stays, however old it is.</summary>
    [Fact]
    public async Task What_a_replay_or_a_repetition_needs_is_kept()
    {
        await database.FillAsync(
            NeededSql,
            TimeProvider.System.GetUtcNow().AddDays(-400),
            TimeProvider.System.GetUtcNow()
        );
        using var sweeper = new RetentionSweeper(
            RetentionTests.ReadRules(),
            database.Source,
            TimeProvider.System,
            NullLogger<RetentionSweeper>.Instance
        );

        await sweeper.SweepNowAsync(default);

        (await database.TextsAsync("select outcome from pipeline.receipts where command = 'define-scenes'")).ShouldBe([
            "unchanged",
        ]);
        (await database.TextsAsync("select key from pipeline.import_sources where key like 'uploads/%'")).ShouldBe([
            "uploads/of a failed import",
        ]);
        (await database.TextsAsync("select key from pipeline.purged_objects where key like 'projects/%'")).ShouldBe(
            ["projects/of an open deletion", "projects/of a hidden image"],
            StringComparer.Ordinal,
            ignoreOrder: true
        );
    }
}

internal static class FilledDatabase
{
    /// <summary>Runs statements one by one: one command cannot have several with parameters.</summary>
    public static async Task FillAsync(this ScratchDatabase database, string sql, params object[] parameters)
    {
        foreach (var statement in sql.Split(";\n", StringSplitOptions.RemoveEmptyEntries))
        {
            await using var command = database.Source.CreateCommand(statement.TrimEnd().TrimEnd(';'));
            foreach (var parameter in parameters)
                command.Parameters.AddWithValue(parameter);
            await command.ExecuteNonQueryAsync();
        }
    }
}
