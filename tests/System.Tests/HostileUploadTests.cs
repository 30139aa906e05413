using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Pipeline.Publisher.Tests.Uploading;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Tests.Formats;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// What attackers send, by every way in: the form, the command line, and past the publisher into the store. Real
/// processes, and a bucket and tables that nobody else uses.
/// </summary>
public sealed class HostileUploadTests : Stack
{
    private const string TooLarge = "the file is larger than 26214400 bytes";
    private const long TwoGigabytes = 2L * 1024 * 1024 * 1024;

    private static readonly (string Name, byte[] Bytes, string Reason)[] Files =
    [
        ("holiday.jpg", UploadedFiles.Text, "the file is text, not PNG"),
        ("logo.png", UploadedFiles.Svg, "the file is an SVG"),
        ("wide.png", TinyFiles.Png(60_000, 60_000), "the file is a PNG of 60000×60000, more than 50000000 pixels"),
        ("picture.png", UploadedFiles.ZipBomb(), "the file is something else"),
        ("cut.jpg", UploadedFiles.TruncatedJpeg, "the file is a JPEG that is damaged or ends too early"),
    ];

    private readonly ScratchBucket _bucket = new();
    private readonly Guid _project = Guid.NewGuid();

    protected override IEnumerable<(string Name, string Value)> WorkerSettings => [("Storage__Bucket", _bucket.Name)];

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _bucket.DisposeAsync();
    }

    [Fact]
    public async Task Hostile_file_is_refused_with_its_reason_by_every_way_in_and_nothing_is_stored()
    {
        HostWorker("worker");
        await using var served = await PublisherProcess.ServeAsync(PublisherSettings);
        using var publisher = new HttpClient { BaseAddress = served.Url };

        foreach (var (name, bytes, reason) in Files)
        {
            (await FormAsync(publisher, name, bytes)).ShouldContain($"files[0].content: {reason}");
            (await DirectAsync(publisher, bytes)).ShouldContain($"content: {reason}");
        }

        (await FormAsync(publisher, "../../etc/passwd", TinyFiles.Png())).ShouldContain(
            "files[0].fileName: must be a name without a path"
        );
        using (var raw = await RawHttp.ConnectAsync(publisher))
        {
            await raw.SendHeadAsync($"/projects/{_project}/images", $"Content-Length: {TwoGigabytes}");
            (await raw.ReadAsync()).ShouldStartWith("HTTP/1.1 413");
        }

        using var asked = await publisher.PostAsJsonAsync(
            $"/projects/{_project}/uploads",
            new { byteLength = TwoGigabytes }
        );
        asked.StatusCode.ShouldBe(HttpStatusCode.UnprocessableEntity);
        using var traversal = await publisher.PostAsJsonAsync(
            $"/projects/{_project}/uploads/..%2F..%2Fetc%2Fpasswd/confirm",
            new { slot = 0 }
        );
        traversal.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        await ShouldBeUntouchedAsync();

        // The same way in takes a picture, so it was the files that were refused.
        (await FormAsync(publisher, "good.png", TinyFiles.Png(), HttpStatusCode.Accepted)).ShouldContain("commandId");
        await UntilAsync(
            "the good one is shown",
            async () => await ScalarAsync<long>("select count(*) from status.images where state = 'shown'") == 1
        );
    }

    [Fact]
    public async Task Command_line_refuses_the_same_files_and_stores_nothing()
    {
        HostWorker("worker");
        var folder = Directory.CreateTempSubdirectory("hostile");
        try
        {
            foreach (var (name, bytes, reason) in Files)
            {
                var file = Path.Combine(folder.FullName, name);
                await File.WriteAllBytesAsync(file, bytes);
                await ShouldBeRefusedAsync(file, reason);
            }

            var large = Path.Combine(folder.FullName, "large.jpg");
            await using (var sparse = File.Create(large))
            {
                sparse.Write(TinyFiles.Jpeg());
                sparse.SetLength(TwoGigabytes);
            }

            await ShouldBeRefusedAsync(large, TooLarge);
            await ShouldBeRefusedAsync("../../../../../../../../etc/passwd", "the file is text, not PNG");
            // A good one beside a bad one is kept back too.
            var good = Path.Combine(folder.FullName, "good.png");
            await File.WriteAllBytesAsync(good, TinyFiles.Png());
            await ShouldBeRefusedAsync(Path.Combine(folder.FullName, "cut.jpg"), "ends too early", good);
            await ShouldBeUntouchedAsync();
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private async Task<string> FormAsync(
        HttpClient publisher,
        string name,
        byte[] bytes,
        HttpStatusCode status = HttpStatusCode.UnprocessableEntity
    )
    {
        using var form = UploadedFiles.Form((name, bytes));
        using var answer = await publisher.PostAsync($"/projects/{_project}/images", form);
        return await TextAsync(answer, status);
    }

    private async Task<string> DirectAsync(HttpClient publisher, byte[] bytes)
    {
        using var asked = await publisher.PostAsJsonAsync(
            $"/projects/{_project}/uploads",
            new { byteLength = bytes.Length }
        );
        var upload = await asked.Content.ReadFromJsonAsync<JsonElement>();
        using var browser = new HttpClient();
        using var put = await browser.PutAsync(upload.GetProperty("url").GetString(), new ByteArrayContent(bytes));
        put.EnsureSuccessStatusCode();
        using var confirmed = await publisher.PostAsJsonAsync(
            upload.GetProperty("confirm").GetString(),
            new { slot = 0 }
        );
        return await TextAsync(confirmed, HttpStatusCode.UnprocessableEntity);
    }

    /// <summary>The problem's own words: on the wire some characters are escaped.</summary>
    private static async Task<string> TextAsync(HttpResponseMessage answer, HttpStatusCode status)
    {
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        answer.StatusCode.ShouldBe(status, body.GetRawText());
        return body.TryGetProperty("errors", out var errors) ? errors[0].GetString()! : body.GetRawText();
    }

    private async Task ShouldBeRefusedAsync(string file, string reason, params string[] before)
    {
        var run = await VerbRun.RunAsync(this, ["upload", $"{_project}", .. before, file]);
        run.ExitCode.ShouldBe(1, run.Error);
        run.Error.ShouldContain(reason);
        run.Out.Trim().ShouldBeEmpty();
    }

    /// <summary>Neither an object nor a row nor a message, not even one that has ended.</summary>
    private async Task ShouldBeUntouchedAsync()
    {
        (await _bucket.KeysAsync()).ShouldBeEmpty();
        foreach (var table in (string[])["projects", "images", "receipts", "import_sources", "catalog_entries"])
            (await ScalarAsync<long>($"select count(*) from pipeline.{table}")).ShouldBe(0, table);
        (await this.PendingAsync()).ShouldBe(0);
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }
}
