using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Tests.Persistence;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Commands;

/// <summary>One effect, one receipt and one answer for every delivery, whatever meets or fails.</summary>
public sealed class CommandRunnerTests(ScratchDatabase database) : IClassFixture<ScratchDatabase>
{
    private readonly CommandRunner _runner = new(
        database.Source,
        TimeProvider.System,
        NullLogger<CommandRunner>.Instance
    );

    [Fact]
    public async Task Effect_receipt_and_messages_commit_together_or_not_at_all()
    {
        var request = NewRequest();
        await Should.ThrowAsync<InvalidOperationException>(() =>
            RunAsync(
                request,
                async work =>
                {
                    await EffectAsync(work, "lost");
                    await work.SendAsync(
                        Decision.Rejected("never").AnnouncementsOf(request, work.At)[0].ToWire(default)
                    );
                    throw new InvalidOperationException();
                }
            )
        );
        (await OutcomeAsync(request)).ShouldBeEmpty();
        (await EffectsAsync(request)).ShouldBeEmpty();
        (await MessagesAsync(request)).ShouldBeEmpty();

        await RunAsync(request, work => EndAsync(work, "kept", Decision.Superseded("newer")));

        (await OutcomeAsync(request)).ShouldBe(["superseded"]);
        (await EffectsAsync(request)).ShouldBe(["kept"]);
        (await MessagesAsync(request)).ShouldBe(["command-superseded"]);
    }

    [Fact]
    public async Task Of_two_deliveries_at_once_one_takes_effect_and_both_are_answered()
    {
        var request = NewRequest();
        var decided = 0;

        // The second delivery ends the command after the first one has looked for a receipt and found none.
        var first = await RunAsync(
            request,
            async work =>
            {
                decided++;
                await EffectAsync(work, "first");
                await RunAsync(request, x => EndAsync(x, "second", Decision.Rejected("second")));
                return Decision.Applied();
            }
        );

        first.Decision.ShouldBeNull();
        first.Earlier!.Outcome.ShouldBe(Outcomes.Rejected);
        decided.ShouldBe(1);
        (await EffectsAsync(request)).ShouldBe(["second"]);
        (await OutcomeAsync(request)).ShouldBe(["rejected"]);
        (await MessagesAsync(request)).ShouldBe(["command-rejected", "command-rejected"]);
    }

    [Fact]
    public async Task Other_content_that_meets_the_first_under_the_same_id_is_told_so_and_kept()
    {
        var request = NewRequest();
        var content = """{"commandId":"other"}"""u8.ToArray();
        var other = new CommandRequest(request.CommandId, request.ProjectId, request.Command, content)
        {
            Scope = request.Scope,
        };

        await RunAsync(
            other,
            async work =>
            {
                await EffectAsync(work, "other");
                await RunAsync(request, x => EndAsync(x, "first", Decision.Applied()));
                return Decision.Applied();
            }
        );

        (await EffectsAsync(request)).ShouldBe(["first"]);
        (await MessagesAsync(request)).ShouldBe(["command-rejected"]);
        var kept = await database.TextsAsync(
            "select body::text from pipeline.receipt_conflicts where command_id = $1",
            request.CommandId
        );
        kept.ShouldBe([Encoding.UTF8.GetString(other.Content)]);
    }

    [Fact]
    public async Task Command_that_is_taken_in_leaves_its_rows_and_no_receipt()
    {
        var request = NewRequest();

        await RunAsync(
            request,
            async work =>
            {
                await EffectAsync(work, "taken in");
                return null;
            }
        );

        (await EffectsAsync(request)).ShouldBe(["taken in"]);
        (await OutcomeAsync(request)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Failure_is_decided_anew_only_for_a_replay()
    {
        var request = NewRequest();
        await RunAsync(request, work => EndAsync(work, "failed", Decision.Failed("away")));
        await RunAsync(request, work => EndAsync(work, "again", Decision.Applied()));
        (await EffectsAsync(request)).ShouldBe(["failed"]);

        await RunAsync(request with { Replays = 1 }, work => EndAsync(work, "replayed", Decision.Applied()));

        (await EffectsAsync(request)).ShouldBe(["failed", "replayed"]);
        (await OutcomeAsync(request)).ShouldBe(["applied"]);
    }

    [Theory]
    [InlineData(Outcomes.Applied, null)]
    [InlineData(Outcomes.Unchanged, null)]
    [InlineData(Outcomes.TargetMissing, null)]
    [InlineData(Outcomes.Rejected, "command-rejected")]
    [InlineData(Outcomes.Superseded, "command-superseded")]
    [InlineData(Outcomes.Failed, "command-failed")]
    public void Outcomes_that_have_no_effect_of_their_own_are_announced_alike(string outcome, string? exchange) =>
        new Decision(outcome, "why")
            .AnnouncementsOf(NewRequest(), DateTimeOffset.UnixEpoch)
            .Select(x => x.Exchange)
            .ShouldBe(exchange is null ? [] : [exchange]);

    private static CommandRequest NewRequest() =>
        CommandRequest.Of(new RebuildCatalog(Guid.NewGuid()), replays: 0, sender: "ops");

    private static async Task<Decision?> EndAsync(CommandWork work, string effect, Decision decision)
    {
        await EffectAsync(work, effect);
        return decision;
    }

    // Any row will do.
    private static async Task EffectAsync(CommandWork work, string effect)
    {
        await using var insert = work.Statement(
            "insert into pipeline.purged_objects (key, image_id, purged_at) values ($1, $2, $3)",
            $"{effect} {work.Request.CommandId}",
            work.Request.CommandId,
            work.At
        );
        await insert.ExecuteNonQueryAsync(work.Cancellation);
    }

    private Task<CommandRun> RunAsync(CommandRequest request, Func<CommandWork, Task<Decision?>> decide) =>
        _runner.RunAsync(request, decide, CancellationToken.None);

    private Task<List<string>> EffectsAsync(CommandRequest request) =>
        database.TextsAsync(
            "select replace(key, ' ' || image_id, '') from pipeline.purged_objects where image_id = $1 order by 1",
            request.CommandId
        );

    private Task<List<string>> OutcomeAsync(CommandRequest request) =>
        database.TextsAsync("select outcome from pipeline.receipts where command_id = $1", request.CommandId);

    private Task<List<string>> MessagesAsync(CommandRequest request) =>
        database.TextsAsync(
            "select exchange from pipeline.outbox where convert_from(body, 'UTF8') like '%' || $1 || '%' order by id",
            request.CommandId.ToString()
        );
}
