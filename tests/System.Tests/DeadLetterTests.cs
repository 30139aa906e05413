using System.Diagnostics;
using System.Globalization;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>Dead letters by the thousand, made by real failures and handled by the real command line.</summary>
public sealed class DeadLetterTests(ITestOutputHelper output) : Stack
{
    private const int Projects = 200;

    // 1,250 are the 5,000 of docs/dead-letters.md; the suite takes fewer, for its time's sake.
    private static readonly int PerCause = int.Parse(
        Environment.GetEnvironmentVariable("PIPELINE_DEAD_LETTERS_PER_CAUSE") ?? "750",
        CultureInfo.InvariantCulture
    );

    private const int Rate = 100;

    private readonly Guid[] _projects = [.. Enumerable.Range(0, Projects).Select(_ => Guid.NewGuid())];

    [Fact]
    public async Task Thousands_of_four_causes_are_grouped_replayed_through_kills_and_stopped_where_they_fail_again()
    {
        await this.ExecuteAsync(Causes.BreakSql);
        HostWorker("worker");
        await using var publisher = NewPublisher();
        var quota = Saves(slot: 1);
        var index = Saves(slot: 2);
        WireMessage[] all =
        [
            .. quota.Select(x => x.ToWire()),
            .. index.Select(x => x.ToWire()),
            .. Enumerable.Range(0, PerCause).Select(x => Forbidden(_projects[x % Projects]).ToWire()),
            .. Enumerable.Range(0, PerCause).Select(x => Broken(_projects[x % Projects])),
        ];
        var watch = Stopwatch.StartNew();
        await publisher.PublishAllAsync(all, CancellationToken.None);
        await UntilAsync("all are dead letters", async () => await this.LaneLettersAsync() == 4 * PerCause);
        Say($"{all.Length} dead letters", watch);

        var groups = await GroupsAsync();
        groups.Count.ShouldBe(4);
        groups.Values.ShouldAllBe(x => x.Count == PerCause && x.Projects == Projects);
        Say("grouped", watch);

        // Mended, and 30 % of the pictures have come by another way meanwhile.
        await this.ExecuteAsync(Causes.MendQuotaSql);
        var overtaken = quota.Where((_, i) => i % 10 < 3).ToArray();
        await publisher.PublishAllAsync(
            overtaken.Select(x => (Commands.Save(x.ProjectId, 1, x.Slot) with { SceneId = x.SceneId }).ToWire()),
            CancellationToken.None
        );
        await UntilReceiptsAsync(all.Length + overtaken.Length);

        var id = groups.Keys.Single(x => x.Contains("quota", StringComparison.Ordinal));
        var group = groups[id].Id;
        var plan = await ReplayAsync("--group", group, "--dry-run");
        plan.Objects()[0].GetProperty("superseded").GetInt32().ShouldBe(overtaken.Length);

        string[] replay = ["--group", group, "--canary", "1", "--rate", $"{Rate}/s", "--reason", "quota raised"];
        foreach (var left in new[] { PerCause * 3 / 4, PerCause / 2 })
        {
            await using var killed = VerbProcess.Start(this, ["dead-letters", "replay", "--json", .. replay]);
            await UntilAsync(
                $"{left} are left",
                async () => killed.HasExited || await AppliedAsync(quota) >= PerCause - left
            );
            killed.HasExited.ShouldBeFalse(killed.Error);
            await killed.KillAsync();
        }

        Say("killed twice", watch);
        var resumed = Stopwatch.StartNew();
        var last = await ReplayAsync(replay);
        last.ExitCode.ShouldBe(0, last.Error);
        var handled = last.Objects()[0].GetProperty("handled").GetInt32();
        handled.ShouldBeInRange(1, PerCause * 3 / 4);
        resumed.Elapsed.TotalSeconds.ShouldBeGreaterThan((handled - Rate) / (double)Rate);
        await UntilAsync("all are decided", async () => await AppliedAsync(quota) == PerCause);
        Say("replayed", watch);

        (await CountAsync(quota, "superseded")).ShouldBe(overtaken.Length);
        (await CountAsync(quota, "failed")).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from pipeline.images where slot = 1")).ShouldBe(PerCause);
        await ShouldBeInOrderAsync(quota);
        // Every write that was applied raised its project's version once, and has its own receipt.
        (await ScalarAsync<long>("select sum(version)::bigint from pipeline.projects")).ShouldBe(
            await ScalarAsync<long>("select count(*) from pipeline.receipts where project_version is not null")
        );
        (await this.LaneLettersAsync()).ShouldBe(3 * PerCause);
        (
            await ScalarAsync<long>(
                "select count(distinct message_id) from status.dead_letter_actions where action = 'replay' and reason = 'quota raised'"
            )
        ).ShouldBe(PerCause);

        // What is not mended stops the replay.
        var other = groups[groups.Keys.Single(x => x.Contains("index", StringComparison.Ordinal))].Id;
        var canary = await ReplayAsync("--group", other, "--canary", "1");
        canary.ExitCode.ShouldBe(1);
        canary.Error.ShouldContain("canaries failed again");
        (await ReplayedAsync(index)).ShouldBe(1);
        var stopped = await ReplayAsync("--group", other, "--stop-above", "10");
        stopped.ExitCode.ShouldBe(1);
        stopped.Error.ShouldContain("failed again, more than 10 %");
        await UntilAsync("those have come back", async () => await this.LaneLettersAsync() == 3 * PerCause);
        (await ReplayedAsync(index)).ShouldBeLessThan(PerCause / 2);
        Say("stopped", watch);
    }

    private void Say(string what, Stopwatch watch) => output.WriteLine($"{watch.Elapsed.TotalSeconds, 6:F1} s  {what}");

    private SaveImage[] Saves(int slot) =>
        [
            .. Enumerable
                .Range(0, PerCause)
                .Select(x => Commands.Save(_projects[x % Projects], scene: 1 + x / Projects, slot)),
        ];

    private static Contracts.Storyboards.DefineScenes Forbidden(Guid project) =>
        new(Guid.NewGuid(), project, [new Contracts.Storyboards.SceneDefinition("scene-1", 1, "forbidden")]);

    private static WireMessage Broken(Guid project) =>
        new("save-image", WireNames.RoutingKeyOf(project), Guid.NewGuid(), "{ \"commandId\": "u8.ToArray(), true);

    private Task<VerbRun> ReplayAsync(params string[] args) => this.DeskAsync(["replay", .. args]);

    private async Task<Dictionary<string, (string Id, int Count, int Projects)>> GroupsAsync()
    {
        var list = await this.DeskAsync("list");
        list.ExitCode.ShouldBe(0, list.Error);
        output.WriteLine(list.Out);
        return list.Objects()
            .ToDictionary(
                x => x.GetProperty("key").GetString()!,
                x =>
                    (
                        x.GetProperty("group").GetString()!,
                        x.GetProperty("count").GetInt32(),
                        x.GetProperty("projects").GetInt32()
                    ),
                StringComparer.Ordinal
            );
    }

    /// <summary>Receipts that are no failure any more.</summary>
    private Task<long> AppliedAsync(SaveImage[] saves) =>
        ScalarAsync<long>(
            "select count(*) from pipeline.receipts where command_id = any($1) and outcome <> 'failed'",
            Ids(saves)
        );

    private Task<long> CountAsync(SaveImage[] saves, string outcome) =>
        ScalarAsync<long>(
            "select count(*) from pipeline.receipts where command_id = any($1) and outcome = $2",
            Ids(saves),
            outcome
        );

    private Task<long> ReplayedAsync(SaveImage[] saves) =>
        ScalarAsync<long>(
            "select count(*) from pipeline.receipts where command_id = any($1) and replays > 0",
            Ids(saves)
        );

    private async Task ShouldBeInOrderAsync(SaveImage[] saves)
    {
        var versions = (
            await RowsAsync(
                "select command_id, project_version from pipeline.receipts where command_id = any($1) and project_version is not null",
                x => (Id: x.GetGuid(0), Version: x.GetInt64(1)),
                Ids(saves)
            )
        ).ToDictionary(x => x.Id, x => x.Version);
        foreach (var project in saves.GroupBy(x => x.ProjectId))
            project
                .Where(x => versions.ContainsKey(x.CommandId))
                .Select(x => versions[x.CommandId])
                .ShouldBeInOrder(SortDirection.Ascending);
    }

    private static Guid[] Ids(SaveImage[] saves) => [.. saves.Select(x => x.CommandId)];
}
