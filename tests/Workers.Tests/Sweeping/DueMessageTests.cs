using System.Text.RegularExpressions;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Tests.Architecture;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Sweeping;

/// <summary>
/// What a sweep sends says that a time has come, or that something has ended. Whoever takes the message asks for that
/// fact in its transaction, so that one that was forged, or comes early or again, has no effect.
/// </summary>
public sealed partial class DueMessageTests(DuePipeline pipeline) : IClassFixture<DuePipeline>
{
    private const string InAnHour = "now() + interval '1 hour'";

    private static readonly Case[] Cases =
    [
        new("render-due", "of an attempt that waits")
        {
            Rows = [Generation("Requested", InAnHour, "null")],
            ComesTrue = "update pipeline.generation_requests set due_at = now() where correlation_id = $1",
            Send = (x, id) => x.ConsumeAsync(new RenderDue(id, 1)),
        },
        new("render-due", "of an attempt that renders")
        {
            Rows = [Generation("Rendering", "null", "null")],
            ComesTrue =
                "update pipeline.generation_requests set updated_at = now() - interval '1 day' where correlation_id = $1",
            Send = (x, id) => x.ConsumeAsync(new RenderDue(id, 1)),
        },
        new("render-lease-expired", "of a lease that is renewed")
        {
            Rows =
            [
                Generation("Rendering", "null", "null"),
                $"insert into pipeline.generation_leases values ($1, 1, 1, $1, {InAnHour})",
            ],
            ComesTrue = "update pipeline.generation_leases set lease_until = now() where generation_id = $1",
            Send = (x, id) => x.ConsumeAsync(new RenderLeaseExpired(id, 1)),
        },
        new("render-lease-expired", "of a lease that was given back")
        {
            Rows = [Generation("Rendering", "null", "null")],
            ComesTrue = "insert into pipeline.generation_leases values ($1, 1, 1, $1, now())",
            Send = (x, id) => x.ConsumeAsync(new RenderLeaseExpired(id, 1)),
        },
        new("generation-deadline-passed", "before the deadline")
        {
            Rows = [Generation("Rendering", "null", InAnHour)],
            ComesTrue = "update pipeline.generation_requests set deadline_at = now() where correlation_id = $1",
            Send = (x, id) => x.ConsumeAsync(new GenerationDeadlinePassed(id, 1)),
        },
        new("target-settled", "of a save without a receipt")
        {
            Rows =
            [
                Generation("Saving", "null", "null"),
                """
                    insert into pipeline.generation_targets (command_id, generation_id, project_id, image_id, slot,
                        request_hash, import_command_id, created_at)
                    values ($1, $1, $1, $1, 0, sha256('a'), gen_random_uuid(), now())
                    """,
            ],
            ComesTrue = """
                insert into pipeline.receipts (command_id, scope, project_id, command, request_hash, outcome,
                    announcements, at, follow_up_id)
                select import_command_id, $1, $1, 'import-image', sha256('a'), 'applied', '[]'::json, now(), $1
                from pipeline.generation_targets where generation_id = $1
                union all select $1, $1, $1, 'save-image', sha256('a'), 'applied', '[]', now(), null
                """,
            Send = (x, id) => x.ConsumeAsync(new TargetSettled(id, id, id, Outcomes.Applied, null, 1)),
        },
        new("deletion-due", "within the grace period")
        {
            Rows = [Deletion("Tombstoned", InAnHour)],
            ComesTrue = "update pipeline.deletions set due_at = now() where correlation_id = $1",
            Send = (x, id) => x.ConsumeAsync(new DeletionDue(id, 1)),
        },
        new("deletion-due", "within the pause after a failure")
        {
            Rows = [Deletion("Purging", InAnHour)],
            ComesTrue = "update pipeline.deletions set due_at = now() where correlation_id = $1",
            Send = (x, id) => x.ConsumeAsync(new DeletionDue(id, 1)),
        },
        new("deletion-due", "of a step that is with the workers")
        {
            Rows = [Deletion("Verifying", "null")],
            ComesTrue = "update pipeline.deletions set updated_at = now() - interval '1 day' where correlation_id = $1",
            Send = (x, id) => x.ConsumeAsync(new DeletionDue(id, 1)),
        },
        new("list-page", "within the pause after a failure")
        {
            Rows = [Rebuild("Listing"), Part(0, "now()")],
            ComesTrue = "update pipeline.catalog_rebuild_parts set due_at = now() where rebuild_id = $1",
            Send = (x, id) => x.ConsumeAsync(new ListPage(id, 0, 1)),
        },
        new("part-listed", "of a part with more pages")
        {
            Rows = [Rebuild("Listing"), Part(0, "null")],
            ComesTrue = "update pipeline.catalog_rebuild_parts set done = true where rebuild_id = $1",
            Send = (x, id) => x.ConsumeAsync(new PartListed(id, 0)),
        },
        new("catalog-swept", "of a catalogue that is not")
        {
            Rows = [Rebuild("Sweeping"), Part(-1, "null")],
            ComesTrue = "update pipeline.catalog_rebuild_parts set done = true where rebuild_id = $1",
            Send = (x, id) => x.ConsumeAsync(new CatalogSwept(id)),
        },
    ];

    public static IEnumerable<object[]> Messages => Cases.Select(x => new object[] { x.Message, x.When });

    [Theory]
    [MemberData(nameof(Messages))]
    public async Task Message_has_no_effect_until_what_it_says_is_true(string message, string when)
    {
        var one = Cases.Single(x => x.Message == message && x.When == when);
        var id = Guid.NewGuid();
        foreach (var row in one.Rows)
            await pipeline.AskAsync(row, id);
        var before = await pipeline.StateAsync(id);

        await one.Send(pipeline, id);

        (await pipeline.StateAsync(id)).ShouldBe(before);
        await pipeline.AskAsync(one.ComesTrue, id);
        await one.Send(pipeline, id);
        // It was the time that was wrong, and nothing else.
        (await pipeline.StateAsync(id)).ShouldNotBe(before, StringComparer.Ordinal);
    }

    /// <summary>The contracts say which messages the sweeps send; those of a rebuild are also sent at once.</summary>
    [Fact]
    public void Every_message_from_a_sweep_is_in_the_table()
    {
        var swept = SourceTree
            .Files("src/Contracts")
            .SelectMany(x => FromTheSweep().Matches(SourceTree.Read(x)))
            .Select(x => WireNames.ExchangeOf(TypeOf(x.Groups["name"].Value)))
            .ToArray();

        swept.Length.ShouldBeGreaterThanOrEqualTo(5);
        swept.Except(Cases.Select(x => x.Message), StringComparer.Ordinal).ShouldBeEmpty();
    }

    private static string Generation(string state, string dueAt, string deadlineAt) =>
        $"""
            insert into pipeline.generation_requests
                (correlation_id, request_hash, current_state, prompt, model, width, height, attempt, attempts_from, due_at,
                 deadline_at, created_at, updated_at)
            values ($1, $1::text, '{state}', 'A kite.', 'offline-painter', 64, 64, 1, 0, {dueAt}, {deadlineAt}, now(), now())
            """;

    private static string Deletion(string state, string dueAt) =>
        $"""
            insert into pipeline.deletions (correlation_id, current_state, kind, project_id, image_id, command_id, attempt,
                failures, due_at, purged_keys, created_at, updated_at)
            values ($1, '{state}', 'image', $1, $1, $1, 1, 0, {dueAt}, 0, now(), now())
            """;

    private static string Rebuild(string state) =>
        $"""
            insert into pipeline.catalog_rebuilds
                (correlation_id, current_state, bucket, expected_keys, partitions, pages, keys, removed, started_at)
            values ($1, '{state}', 'a-bucket', 0, 0, 0, 0, 0, now())
            """;

    private static string Part(int number, string waitingSince) =>
        $"""
            insert into pipeline.catalog_rebuild_parts (rebuild_id, number, waiting_since, due_at)
            values ($1, {number}, {waitingSince}, {InAnHour})
            """;

    private static Type TypeOf(string name) =>
        typeof(RenderDue).Assembly.GetExportedTypes().Single(x => x.Name == name);

    [GeneratedRegex(
        @"<summary>Message, internal, from the sweep:(?:\s*///[^\n]*|[^\n]*)+?\npublic sealed record (?<name>\w+)",
        RegexOptions.ExplicitCapture,
        5000
    )]
    private static partial Regex FromTheSweep();

    /// <param name="Message">What a sweep sends.</param>
    /// <param name="When">When it comes without being true.</param>
    private sealed record Case(string Message, string When)
    {
        /// <summary>Statements about the row <c>$1</c>, in order.</summary>
        public required string[] Rows { get; init; }

        /// <summary>The statement that makes the message true.</summary>
        public required string ComesTrue { get; init; }

        public required Func<DuePipeline, Guid, Task> Send { get; init; }
    }
}
