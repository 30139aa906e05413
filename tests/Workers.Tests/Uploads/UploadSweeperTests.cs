using Pipeline.Contracts.Importing;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Uploads;

public sealed class UploadSweeperTests(SweepPipeline pipeline, PatientSweepPipeline patient)
    : IClassFixture<SweepPipeline>,
        IClassFixture<PatientSweepPipeline>
{
    [Fact]
    public async Task Abandoned_uploads_and_lost_renderings_are_cleared_away_and_nothing_else()
    {
        var (abandoned, begun) = (NewUpload(), NewUpload());
        var (lost, saved, open) = (NewRendering(), NewRendering(), NewRendering());
        const string Foreign = "uploads/somebody-elses.txt";
        var picture = ObjectKeys.ForImage(Guid.NewGuid(), Guid.NewGuid(), new string('a', 64), "png");
        string[] kept = [begun, saved, open, Foreign, picture];
        await BeginImportAsync(begun);
        await GenerationAsync(saved, "Completed", saved);
        await GenerationAsync(open, "Rendering", null);

        foreach (var key in (string[])[.. kept, abandoned, lost])
            await pipeline.PutAsync(key);

        await Until.TrueAsync(
            "both are gone",
            async () => !await pipeline.HasAsync(abandoned) && !await pipeline.HasAsync(lost)
        );
        await pipeline.UntilSweptAsync("uploads/");
        await pipeline.UntilSweptAsync("generated/");
        foreach (var key in kept)
            (await pipeline.HasAsync(key)).ShouldBeTrue(key);
    }

    [Fact]
    public async Task Upload_stays_while_an_import_waits_in_the_queue()
    {
        var upload = NewUpload();
        await pipeline.PutAsync(upload);
        var import = new ImportImage(Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), null, null, 0, null, upload);
        await pipeline.SendAsync(import);
        await Until.TrueAsync("it is old", async () => await IsOlderThanGraceAsync(upload));
        await pipeline.UntilSweptAsync("uploads/");
        (await pipeline.HasAsync(upload)).ShouldBeTrue();

        await pipeline.PurgeAsync();
        await Until.TrueAsync("it is gone", async () => !await pipeline.HasAsync(upload));
    }

    [Fact]
    public async Task One_that_the_store_refuses_to_delete_stops_neither_the_others_nor_the_other_kinds()
    {
        var (refused, upload, rendering) = (NewUpload(), NewUpload(), NewRendering());
        pipeline.Refused.Add(refused);
        pipeline.Refused.Add("projects/held");
        await pipeline.S3.InitiateMultipartUploadAsync(pipeline.Bucket, "projects/held");
        await pipeline.S3.InitiateMultipartUploadAsync(pipeline.Bucket, "projects/later");

        foreach (var key in new[] { refused, upload, rendering })
            await pipeline.PutAsync(key);

        await Until.TrueAsync(
            "all others are gone",
            async () =>
                !await pipeline.HasAsync(upload)
                && !await pipeline.HasAsync(rendering)
                && (await pipeline.Store.ListUnfinishedAsync(null, default)).Uploads.All(x => x.Key == "projects/held")
        );
        (await pipeline.HasAsync(refused)).ShouldBeTrue();
        foreach (var key in new[] { refused, "projects/held" })
            pipeline.Refused.Remove(key);
        await Until.TrueAsync(
            "these are gone as well",
            async () =>
                !await pipeline.HasAsync(refused)
                && (await pipeline.Store.ListUnfinishedAsync(null, default)).Uploads.Count == 0
        );
    }

    [Fact]
    public async Task Queue_that_is_never_empty_keeps_an_upload_until_what_waited_has_been_taken()
    {
        var upload = NewUpload();
        await pipeline.PutAsync(upload);
        var waiting = new ImportImage(Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), null, null, 0, null, NewUpload());
        await pipeline.SendAsync(waiting);
        await Until.TrueAsync("it is old", async () => await IsOlderThanGraceAsync(upload));
        await pipeline.AskAsync("update pipeline.upload_sweeps set marked_at = null, taken_until = null returning 1");
        await Until.TrueAsync("what waits is counted", async () => await pipeline.AskAsync(WaitingSql) == "5001");

        await EndImportsAsync(5_000);
        await pipeline.UntilSweptAsync("uploads/");
        (await pipeline.HasAsync(upload)).ShouldBeTrue();

        await EndImportsAsync(1);
        await Until.TrueAsync("it is gone", async () => !await pipeline.HasAsync(upload));
        await pipeline.PurgeAsync();
        await pipeline.AskAsync("delete from pipeline.receipts returning 1");
    }

    [Fact]
    public async Task Multipart_upload_without_an_end_is_aborted()
    {
        var begun = await pipeline.S3.InitiateMultipartUploadAsync(pipeline.Bucket, "projects/half");
        (await pipeline.Store.ListUnfinishedAsync(null, default)).Uploads.ShouldContain(x =>
            x.UploadId == begun.UploadId
        );

        await Until.TrueAsync(
            "it is aborted",
            async () => (await pipeline.Store.ListUnfinishedAsync(null, default)).Uploads.Count == 0
        );
    }

    [Fact]
    public async Task Nothing_younger_than_the_grace_time_is_touched()
    {
        var (upload, rendering) = (NewUpload(), NewRendering());
        await patient.PutAsync(upload);
        await patient.PutAsync(rendering);
        await patient.S3.InitiateMultipartUploadAsync(patient.Bucket, "projects/half");

        foreach (var kind in new[] { "uploads/", "generated/", "multipart" })
            await patient.UntilSweptAsync(kind);

        (await patient.HasAsync(upload)).ShouldBeTrue();
        (await patient.HasAsync(rendering)).ShouldBeTrue();
        var half = (await patient.Store.ListUnfinishedAsync(null, default)).Uploads.ShouldHaveSingleItem();
        await patient.Store.AbortAsync(half, default);
    }

    private const string WaitingSql = "select marked_imports from pipeline.upload_sweeps where kind = 'uploads/'";

    private Task<string?> EndImportsAsync(int count) =>
        pipeline.AskAsync(
            """
            insert into pipeline.receipts (command_id, scope, project_id, command, request_hash, outcome, announcements, at)
            select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'import-image', '\x00', 'applied', '[]',
                   now() + interval '2 minutes'
            from generate_series(1, $1) returning 1
            """,
            count
        );

    private async Task<bool> IsOlderThanGraceAsync(string key) =>
        (await pipeline.Store.HeadAsync(key, default)) is { } stored
        && DateTimeOffset.UtcNow - stored.LastModified > TimeSpan.FromSeconds(3);

    private async Task BeginImportAsync(string key) =>
        await pipeline.AskAsync(
            "insert into pipeline.import_sources (key, project_id, command_id, begun_at) values ($1, $2, $2, now())",
            key,
            Guid.NewGuid()
        );

    private async Task GenerationAsync(string key, string state, string? objectKey) =>
        await pipeline.AskAsync(
            """
            insert into pipeline.generation_requests
                (correlation_id, request_hash, current_state, prompt, model, width, height, attempt, attempts_from,
                 object_key, created_at, updated_at)
            values ($1, $1::text, $2, 'a prompt', 'a model', 64, 64, 1, 0, nullif($3, ''), now(), now())
            """,
            Guid.Parse(key.Split('/')[1]),
            state,
            objectKey ?? ""
        );

    private static string NewUpload() => ObjectKeys.ForUpload(Guid.NewGuid());

    private static string NewRendering() => ObjectKeys.ForGenerated(Guid.NewGuid(), new string('b', 64), "png");
}
