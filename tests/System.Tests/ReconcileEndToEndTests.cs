using System.Net.Http.Json;
using System.Text.Json;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Tests.Formats;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Reconciliations by the real command line and the HTTP API, with the store away in between.</summary>
public sealed class ReconcileEndToEndTests : CatalogStack
{
    private const string Hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private S3Proxy _store = null!;

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            .. base.WorkerSettings,
            ("Storage__ServiceUrl", _store.Url),
            ("Storage__RequestRetries", "0"),
            ("Reconciling__LeaseLength", "00:00:02"),
        ];

    public override async Task InitializeAsync()
    {
        _store = await S3Proxy.StartAsync(Bucket.Client);
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _store.DisposeAsync();
    }

    [Fact]
    public async Task Command_line_waits_for_a_store_that_is_away_finds_both_ways_and_repairs_to_zero()
    {
        HostWorker("worker");
        var orphan = $"projects/{Guid.NewGuid()}/{Guid.NewGuid()}/{Hash}.gif";
        await Bucket.PutAsync(orphan, TinyFiles.Gif());
        await Bucket.PutAsync("14000.jpg", TinyFiles.Jpeg());
        await PlantAsync(2);
        await UntilOldAsync();

        _store.Fate = _ => Task.FromResult(S3Fate.Break);
        var running = VerbRun.RunAsync(this, "reconcile", "--grace", "00:00:01", "--json");
        await UntilAsync(
            "it says that it waits, and for what",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.reconciliations where waits_for like '%cannot be reached%'"
                ) == 1
        );
        _store.Fate = _ => Task.FromResult(S3Fate.Pass);
        var dry = await running;

        dry.ExitCode.ShouldBe(1, dry.Error);
        Found(dry)
            .ShouldBe(
                [
                    $"object-without-picture {orphan}",
                    "object-without-entry 14000.jpg",
                    "entry-without-object stale/1",
                    "entry-without-object stale/2",
                ],
                ignoreOrder: true
            );
        (await Bucket.KeysAsync()).ShouldBe(["14000.jpg", orphan]);
        (await ScalarAsync<long>("select count(*) from status.catalog")).ShouldBe(2);

        // Looks first, and repairs exactly what it has found.
        var repair = await VerbRun.RunAsync(this, "reconcile", "--grace", "00:00:01", "--repair", "--json");
        repair.ExitCode.ShouldBe(0, repair.Error);
        var after = await VerbRun.RunAsync(this, "reconcile", "--grace", "00:00:00", "--json");
        after.ExitCode.ShouldBe(0, after.Error);
        Found(after).ShouldBeEmpty();
        (await Bucket.KeysAsync()).ShouldBe(["14000.jpg"]);
        (await RowsAsync("select key from status.catalog", x => x.GetString(0))).ShouldBe(["14000.jpg"]);
    }

    [Fact]
    public async Task Api_tells_of_a_reconciliation_its_findings_and_the_outcomes_of_its_repair()
    {
        HostWorker("worker");
        await using var served = await PublisherProcess.ServeAsync(PublisherSettings);
        using var publisher = new HttpClient { BaseAddress = served.Url };
        await Bucket.PutAsync("14000.jpg", TinyFiles.Jpeg());
        await PlantAsync(1);
        await UntilOldAsync();

        var dry = await AskAsync(publisher, new { grace = "00:00:01" });
        await AskAsync(publisher, new { repairOf = dry.Id });
        var repaired = await FindAsync(publisher, dry.Id);
        var after = await AskAsync(publisher, new { grace = "00:00:00" });

        dry.Findings.Select(x => $"{x.Kind} {x.Key}")
            .ShouldBe(["object-without-entry 14000.jpg", "entry-without-object stale/1"], ignoreOrder: true);
        repaired.Findings.Select(x => x.Outcome).ShouldAllBe(x => x == "applied");
        after.Findings.ShouldBeEmpty();
        using var unknown = await publisher.GetAsync(new Uri($"/reconciliations/{Guid.NewGuid()}", UriKind.Relative));
        ((int)unknown.StatusCode).ShouldBe(404);
    }

    [Fact]
    public async Task Store_that_refuses_ends_the_reconciliation_with_its_name_and_the_next_one_may_begin()
    {
        await Bucket.Client.DeleteBucketAsync(Bucket.Name);
        HostWorker("worker");

        var refused = await VerbRun.RunAsync(this, "reconcile");
        refused.ExitCode.ShouldBe(1);
        refused.Error.ShouldContain("NoSuchBucket");
        (await ScalarAsync<string>("select state from status.reconciliations")).ShouldBe("Failed");

        await Bucket.Client.PutBucketAsync(Bucket.Name);
        var after = await VerbRun.RunAsync(this, "reconcile");
        after.ExitCode.ShouldBe(0, after.Error);
    }

    [Fact]
    public async Task Answer_that_nobody_expects_ends_the_reconciliation_with_it_and_not_the_worker()
    {
        var worker = StartWorker("worker");
        _store.Fate = call => Task.FromResult(call.Kind == "list" ? S3Fate.Refuse : S3Fate.Pass);

        var refused = await VerbRun.RunAsync(this, "reconcile");
        refused.ExitCode.ShouldBe(1);
        refused.Error.ShouldContain("The reconciliation was failed: ");
        worker.Log.ShouldContain("cannot go on");

        _store.Fate = _ => Task.FromResult(S3Fate.Pass);
        var after = await VerbRun.RunAsync(this, "reconcile");
        after.ExitCode.ShouldBe(0, after.Error);
        worker.HasExited.ShouldBeFalse();
    }

    private static List<string> Found(VerbRun run) =>
        [
            .. run.Objects()
                .Where(x => x.TryGetProperty("kind", out _))
                .Select(x => $"{x.GetProperty("kind").GetString()} {x.GetProperty("key").GetString()}"),
        ];

    private async Task<(string Id, List<FoundLine> Findings)> AskAsync(HttpClient publisher, object body)
    {
        using var asked = await publisher.PostAsJsonAsync("/reconciliations", body);
        asked.EnsureSuccessStatusCode();
        var id = (await asked.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("commandId").GetString()!;
        await UntilAsync(
            "its receipt",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.receipts where command_id = $1 and outcome = 'applied'",
                    Guid.Parse(id)
                ) == 1
        );
        return await FindAsync(publisher, id);
    }

    private static async Task<(string Id, List<FoundLine> Findings)> FindAsync(HttpClient publisher, string id)
    {
        var told = await publisher.GetFromJsonAsync<JsonElement>($"/reconciliations/{id}");
        told.GetProperty("reconciliation").GetProperty("state").GetString().ShouldBe("Completed");
        return (id, [.. told.GetProperty("findings").EnumerateArray().Select(FoundLine.Of)]);
    }

    /// <summary>Waits until what was put is older than the grace time of a second, by the store's clock.</summary>
    private Task UntilOldAsync() =>
        UntilAsync(
            "everything is old",
            async () =>
            {
                var listed = await Bucket.Client.ListObjectsV2Async(new() { BucketName = Bucket.Name });
                var newest = listed.S3Objects.Max(x => x.LastModified ?? DateTime.MaxValue).ToUniversalTime();
                return new DateTimeOffset(newest) < DateTimeOffset.UtcNow - TimeSpan.FromSeconds(3);
            }
        );
}
