using System.Net.Http.Json;
using System.Text.Json;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Tests.Formats;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Bucket, pictures and catalogue made to disagree in every way, with a bucket of the test's own.</summary>
public sealed class ReconciliationTests : Stack
{
    private readonly ScratchBucket _bucket = new();

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [("Storage__Bucket", _bucket.Name), ("Reconciling__LeaseLength", "00:00:02")];

    [Fact]
    public async Task What_disagrees_is_found_the_dry_run_changes_nothing_and_the_repair_ends_at_zero()
    {
        await using var bucket = _bucket;
        HostWorker("worker");
        await using var publisher = await ServedPublisher.StartAsync(this);
        var keys = await UploadAsync(publisher, 4);
        var orphan = NewKey();
        var forgotten = NewKey();
        var purging = NewKey();
        await _bucket.Client.DeleteObjectAsync(_bucket.Name, keys[0]);
        await _bucket.PutAsync(keys[1], [.. TinyFiles.Png(), 0]);
        await _bucket.PutAsync(keys[2], TinyFiles.Png(width: 7));
        await _bucket.PutAsync(orphan, TinyFiles.Gif());
        await _bucket.PutAsync("14000.jpg", TinyFiles.Jpeg());
        await PlantObjectsAsync([forgotten]);
        await _bucket.PutAsync(purging, TinyFiles.Gif());
        await BeginPurgeAsync(purging);
        await UntilOldAsync(TimeSpan.FromSeconds(3));

        var before = await StateAsync();
        var dry = await ReconcileRun.OfAsync(publisher, "--grace", "00:00:01", "--deep");
        (await StateAsync()).ShouldBe(before);
        dry.Status.ShouldBe(1);
        dry.Findings.Select(x => $"{x.Kind} {x.Key}")
            .ShouldBe(
                [
                    $"picture-without-object {keys[0]}",
                    $"url-without-object {keys[0]}",
                    $"entry-without-object {keys[0]}",
                    $"size-differs {keys[1]}",
                    $"entry-differs {keys[1]}",
                    $"hash-differs {keys[2]}",
                    $"entry-differs {keys[2]}",
                    $"object-without-picture {orphan}",
                    "object-without-entry 14000.jpg",
                    $"entry-without-object {forgotten}",
                ],
                ignoreOrder: true
            );

        var repair = await ReconcileRun.OfAsync(publisher, "--repair", dry.Id);
        repair.Status.ShouldBe(0, repair.Error);
        repair.Findings.Where(x => x.Outcome is null).Select(x => x.Kind).ShouldBe(["url-without-object"]);
        // The repair has waited for the lane.
        (await ScalarAsync<long>("select count(*) from status.images where state = 'shown'")).ShouldBe(1);

        const string Purged = "select count(*) from status.deletions where state = 'Completed'";
        await UntilAsync("wrong bytes are purged", async () => await ScalarAsync<long>(Purged) == 1);
        var after = await ReconcileRun.OfAsync(publisher, "--grace", "00:00:00", "--deep");
        after.Findings.ShouldBeEmpty();
        after.Status.ShouldBe(0, after.Error);
        (await _bucket.KeysAsync()).ShouldBe(["14000.jpg", keys[1], keys[3], purging], ignoreOrder: true);
        (await ReconcileRun.OfAsync(publisher, "--repair", dry.Id)).Error.ShouldContain("was repaired before");

        await _bucket.PutAsync(keys[0], TinyFiles.Png(width: 1));
        await UntilAsync(
            "the picture whose object is back is shown",
            async () => await ScalarAsync<long>("select count(*) from status.images where state = 'shown'") == 2
        );
    }

    [Fact]
    public async Task Reconciliation_goes_on_after_kill_9_and_finds_everything_once()
    {
        const int Orphans = 2_500;
        await using var bucket = _bucket;
        var worker = StartWorker("worker-1");
        await using var publisher = await ServedPublisher.StartAsync(this);
        await Parallel.ForEachAsync(
            Enumerable.Range(0, Orphans),
            new ParallelOptions { MaxDegreeOfParallelism = 16 },
            async (_, _) => await _bucket.PutAsync(NewKey(), TinyFiles.Gif())
        );
        await UntilOldAsync(TimeSpan.FromSeconds(2));

        using var asked = await publisher.Client.PostAsJsonAsync("/reconciliations", new { grace = "00:00:01" });
        var id = (await asked.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("commandId").GetGuid();
        const string Begun =
            "select count(*) from pipeline.reconciliations where id = $1 and after_key is not null and ended_at is null";
        await UntilAsync("it has begun", async () => await ScalarAsync<long>(Begun, id) == 1);
        await worker.KillAsync();
        (await ScalarAsync<long>(Begun, id)).ShouldBe(1);
        using var refused = await publisher.Client.PostAsJsonAsync("/reconciliations", new { });
        HostWorker("worker-2");

        await UntilAsync(
            "its end",
            async () =>
                await ScalarAsync<long>("select count(*) from status.reconciliations where state = 'Completed'") == 1
        );
        (await ScalarAsync<long>("select epoch from pipeline.reconciliations where id = $1", id)).ShouldBeGreaterThan(
            1
        );
        (
            await ScalarAsync<long>(
                "select count(distinct key) from status.reconciliation_findings where reconciliation_id = $1",
                id
            )
        ).ShouldBe(Orphans);
        (await ScalarAsync<long>("select findings from status.reconciliations where id = $1", id)).ShouldBe(Orphans);
        (await ScalarAsync<long>("select objects from status.reconciliations where id = $1", id)).ShouldBe(Orphans);
        var other = (await refused.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("commandId").GetGuid();
        await UntilAsync(
            "the second request's answer",
            async () =>
                await ScalarAsync<long>("select count(*) from status.receipts where command_id = $1", other) == 1
        );
    }

    /// <summary>An object that waits for its purge, as that of a picture that was replaced does.</summary>
    private async Task BeginPurgeAsync(string key)
    {
        await using var command = Database.CreateCommand(
            """
            insert into pipeline.deletions
                (correlation_id, current_state, kind, project_id, image_id, object_key, command_id, attempt, failures,
                 due_at, purged_keys, created_at, updated_at)
            values (gen_random_uuid(), 'Tombstoned', 'object', split_part($1, '/', 2)::uuid, split_part($1, '/', 3)::uuid,
                    $1, gen_random_uuid(), 0, 0, now() + interval '1 day', 0, now(), now())
            """
        );
        command.Parameters.AddWithValue(key);
        await command.ExecuteNonQueryAsync();
    }

    private static string NewKey() =>
        $"projects/{Guid.NewGuid()}/{Guid.NewGuid()}/{Convert.ToHexStringLower([.. Guid.NewGuid().ToByteArray(), .. Guid.NewGuid().ToByteArray()])}.gif";

    private async Task<List<string>> UploadAsync(ServedPublisher publisher, int count)
    {
        using var form = new MultipartFormDataContent();
        for (var i = 0; i < count; i++)
            form.Add(new ByteArrayContent(TinyFiles.Png(width: i + 1)), "files", $"{i}.png");
        using var sent = await publisher.Client.PostAsync($"/projects/{Guid.NewGuid()}/images", form);
        sent.EnsureSuccessStatusCode();
        await UntilAsync(
            "they are shown",
            async () => await ScalarAsync<long>("select count(*) from status.images where state = 'shown'") == count
        );
        await UntilAsync(
            "their URLs are signed",
            async () => await ScalarAsync<long>("select count(distinct image_id) from status.image_urls") == count
        );
        await UntilAsync("uploads are cleared away", async () => (await _bucket.KeysAsync("uploads/")).Count == 0);
        return await RowsAsync("select object_key from status.images order by slot", x => x.GetString(0));
    }

    /// <summary>Waits until the newest object and row are older than that, by the clocks of store and database.</summary>
    private Task UntilOldAsync(TimeSpan age) =>
        UntilAsync(
            "everything is old",
            async () =>
            {
                var listed = await _bucket.Client.ListObjectsV2Async(new() { BucketName = _bucket.Name });
                var newest = listed.S3Objects.Max(x => x.LastModified ?? DateTime.MaxValue).ToUniversalTime();
                return new DateTimeOffset(newest) < DateTimeOffset.UtcNow - age
                    && await ScalarAsync<bool>(
                        "select coalesce(max(changed_at), '-infinity') < now() - $1 from pipeline.catalog_entries",
                        age
                    );
            }
        );

    /// <summary>All that a dry run could change: objects, pictures, catalogue, commands.</summary>
    private async Task<string> StateAsync()
    {
        var rows = await RowsAsync(
            """
            select concat_ws(' ', id, version, object_key, state, project_version) from status.images
            union all select concat_ws(' ', key, size, etag) from status.catalog
            union all select concat_ws(' ', command_id, command) from status.receipts where command <> 'reconcile'
            order by 1
            """,
            x => x.GetString(0)
        );
        var listed = await _bucket.Client.ListObjectsV2Async(new() { BucketName = _bucket.Name });
        return string.Join('\n', [.. rows, .. listed.S3Objects.Select(x => $"{x.Key} {x.ETag} {x.LastModified:O}")]);
    }
}
