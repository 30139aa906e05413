using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Tests.Formats;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>From a file in somebody's hands to the document that front ends poll, with a bucket of the test's own.</summary>
[Trait(Speed.Name, Speed.Fast)]
public sealed class UploadTests : Stack
{
    private readonly ScratchBucket _bucket = new();

    protected override IEnumerable<(string Name, string Value)> WorkerSettings => [("Storage__Bucket", _bucket.Name)];

    [Fact]
    public async Task Uploads_of_either_way_are_in_catalogue_and_document_without_a_rebuild()
    {
        await using var bucket = _bucket;
        HostWorker("worker");
        await using var publisher = await ServedPublisher.StartAsync(this);
        var project = Guid.NewGuid();

        using var form = new MultipartFormDataContent();
        form.Add(NewFile(TinyFiles.Png()), "files", "a.png");
        form.Add(NewFile(TinyFiles.Jpeg()), "files", "b.jpg");
        using var sent = await publisher.Client.PostAsync($"/projects/{project}/images", form);
        sent.EnsureSuccessStatusCode();
        await PutDirectlyAsync(publisher.Client, project, TinyFiles.Gif(), slot: 2);

        await UntilAsync(
            "the document shows them",
            async () => (await DocumentAsync(publisher.Client, project)).Count == 3
        );
        var keys = await RowsAsync("select object_key from status.images order by slot", x => x.GetString(0));
        keys.Select(x => x[^3..]).ShouldBe(["png", "jpg", "gif"]);
        (
            await ScalarAsync<long>("select count(*) from status.catalog where key = any($1)", (object)keys.ToArray())
        ).ShouldBe(3);
        await UntilAsync("uploads are cleared away", async () => (await _bucket.KeysAsync("uploads/")).Count == 0);
        (await _bucket.KeysAsync()).ShouldBe(keys, ignoreOrder: true);
    }

    private static async Task PutDirectlyAsync(HttpClient publisher, Guid project, byte[] file, int slot)
    {
        using var asked = await publisher.PostAsJsonAsync(
            $"/projects/{project}/uploads",
            new { byteLength = file.Length }
        );
        var upload = await asked.Content.ReadFromJsonAsync<JsonElement>();
        using var browser = new HttpClient();
        using var put = await browser.PutAsync(upload.GetProperty("url").GetString(), new ByteArrayContent(file));
        put.EnsureSuccessStatusCode();
        using var confirmed = await publisher.PostAsJsonAsync(upload.GetProperty("confirm").GetString(), new { slot });
        confirmed.EnsureSuccessStatusCode();
    }

    private static async Task<List<string?>> DocumentAsync(HttpClient publisher, Guid project)
    {
        using var answer = await publisher.GetAsync(new Uri($"/projects/{project}", UriKind.Relative));
        if (!answer.IsSuccessStatusCode)
            return [];
        var document = await answer.Content.ReadFromJsonAsync<JsonElement>();
        return [.. document.GetProperty("imageUrls").EnumerateArray().Select(x => x.GetString())];
    }

    private static ByteArrayContent NewFile(byte[] content)
    {
        var part = new ByteArrayContent(content);
        part.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        return part;
    }
}
