using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Serving;
using Pipeline.Publisher.Settings;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Publisher.Tests.Serving;
using Pipeline.Wire;
using Pipeline.Workers.Tests.Formats;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Uploading;

public sealed class DirectUploadTests(ScratchServers servers) : ServedPublisher(servers)
{
    private const string Queue = "import-image";
    private const string Place = """{"sceneId":"scene-1","slot":2}""";

    [Fact]
    public async Task Asked_put_confirmed_is_an_import_and_confirming_again_is_the_same_one()
    {
        await using var route = await Scratch.RouteAsync(Queue);
        await route.QueuePurgeAsync(Queue);
        var file = TinyFiles.Png();
        var (url, confirm) = await AskAsync(file.Length);
        (await PutAsync(url, file)).ShouldBe(HttpStatusCode.OK);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(file));

        using var first = await PostAsync(confirm, $$"""{"sceneId":"scene-1","slot":2,"sha256":"{{sha256}}"}""");
        using var again = await PostAsync(confirm, Place);

        first.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        (await again.Content.ReadAsStringAsync()).ShouldBe(await first.Content.ReadAsStringAsync());
        var command = Read(await route.BasicGetAsync(Queue, autoAck: true));
        Read(await route.BasicGetAsync(Queue, autoAck: true)).ShouldBe(command);
        (command.SceneId, command.Slot, command.ProjectId).ShouldBe(("scene-1", 2, Project));
        (await KeysAsync()).ShouldContain(x => x == command.UploadKey);
    }

    [Fact]
    public async Task Confirmation_whose_answer_was_lost_is_answered_again_after_the_import()
    {
        await using var route = await Scratch.RouteAsync(Queue);
        var (url, confirm) = await AskAsync(TinyFiles.Png().Length);
        await PutAsync(url, TinyFiles.Png());
        using var first = await PostAsync(confirm, Place);
        var answer = await first.Content.ReadFromJsonAsync<JsonElement>();
        await Scratch.ReceiptAsync(Project, "applied", answer.GetProperty("commandId").GetGuid());
        foreach (var key in await KeysAsync())
            await Scratch.Store.DeleteObjectAsync(Scratch.Bucket, key); // As an import does.

        using var again = await PostAsync(confirm, Place);

        again.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        (await again.Content.ReadAsStringAsync()).ShouldBe(await first.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("text", "content: the file is text")]
    [InlineData("svg", "content: the file is an SVG")]
    [InlineData("cut", "content: the file is a JPEG that is damaged or ends too early")]
    [InlineData("wide", "content: the file is a PNG of 60000×60000")]
    [InlineData("zip", "content: the file is something else")]
    [InlineData("sha256", "sha256: the bytes that came have ")]
    public async Task What_is_refused_at_the_confirmation_is_deleted(string name, string expected)
    {
        await using var route = await Scratch.RouteAsync(Queue);
        await route.QueuePurgeAsync(Queue);
        var file = name switch
        {
            "text" => UploadedFiles.Text,
            "svg" => UploadedFiles.Svg,
            "cut" => UploadedFiles.TruncatedJpeg,
            "wide" => TinyFiles.Png(60_000, 60_000),
            "zip" => UploadedFiles.ZipBomb(),
            _ => TinyFiles.Png(),
        };
        var (url, confirm) = await AskAsync(file.Length);
        await PutAsync(url, file);
        var before = await KeysAsync();

        using var answer = await PostAsync(confirm, $$"""{"slot":0,"sha256":"{{new string('a', 64)}}"}""");

        (await answer.Content.ReadAsStringAsync()).ShouldContain(expected);
        await ShouldBeProblemAsync(answer, 422, "upload-refused");
        (await KeysAsync()).Count.ShouldBe(before.Count - 1);
        (await route.MessageCountAsync(Queue)).ShouldBe(0u);
        await ShouldBeProblemAsync(await PostAsync(confirm, Place), 404, "upload-not-found");
    }

    [Fact]
    public async Task Store_takes_no_other_length_than_was_asked_for()
    {
        var before = await KeysAsync();
        var (url, _) = await AskAsync(TinyFiles.Png().Length);

        (await PutAsync(url, [.. TinyFiles.Png(), 0])).ShouldBe(HttpStatusCode.Forbidden);
        (await PutAsync(url, TinyFiles.Png()[..^1])).ShouldBe(HttpStatusCode.Forbidden);

        (await KeysAsync()).ShouldBe(before);
    }

    [Theory]
    [InlineData("""{"byteLength":2147483648}""")]
    [InlineData("""{"byteLength":0}""")]
    [InlineData("{}")]
    public async Task Length_beyond_the_limit_gets_no_url(string body)
    {
        using var answer = await PostAsync($"/projects/{Project}/uploads", body);

        (await answer.Content.ReadAsStringAsync()).ShouldContain("byteLength: must be 1 to 26214400");
        await ShouldBeProblemAsync(answer, 422, "upload-refused");
    }

    [Theory]
    [InlineData("""{"slot":-1}""")]
    [InlineData("{}")]
    [InlineData("""{"slot":0,"sha256":"abc"}""")]
    [InlineData("""{"slot":0,"imageId":"00000000-0000-0000-0000-000000000000"}""")]
    public async Task Confirmation_that_cannot_be_right_is_refused(string body) =>
        await ShouldBeProblemAsync(
            await PostAsync($"/projects/{Project}/uploads/{Guid.NewGuid()}/confirm", body),
            400,
            "bad-request"
        );

    [Fact]
    public async Task Upload_that_is_about_to_be_swept_is_not_confirmed()
    {
        var (url, confirm) = await AskAsync(TinyFiles.Png().Length);
        await PutAsync(url, TinyFiles.Png());
        await using var later = PublisherApp.Build(
            new PublisherSettings(Scratch.Configuration),
            new LaterClock(TimeSpan.FromHours(13))
        );
        await later.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(later.Urls.Single()) };

        using var answer = await client.PostAsync(confirm, new StringContent(Place, Encoding.UTF8, "application/json"));

        await ShouldBeProblemAsync(answer, 410, "upload-expired");
    }

    private async Task<(Uri Url, string Confirm)> AskAsync(long length)
    {
        using var answer = await PostAsync($"/projects/{Project}/uploads", $$"""{"byteLength":{{length}}}""");
        answer.StatusCode.ShouldBe(HttpStatusCode.Created);
        var asked = await answer.Content.ReadFromJsonAsync<JsonElement>();
        asked.GetProperty("method").GetString().ShouldBe("PUT");
        return (new Uri(asked.GetProperty("url").GetString() ?? ""), asked.GetProperty("confirm").GetString() ?? "");
    }

    /// <summary>As a browser would: nothing but the URL.</summary>
    private static async Task<HttpStatusCode> PutAsync(Uri url, byte[] file)
    {
        using var client = new HttpClient();
        using var answer = await client.PutAsync(url, new ByteArrayContent(file));
        return answer.StatusCode;
    }

    private Task<HttpResponseMessage> PostAsync(string path, string body) =>
        Client.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"));

    private async Task<List<string>> KeysAsync() =>
        [
            .. ((await Scratch.Store.ListObjectsV2Async(new() { BucketName = Scratch.Bucket })).S3Objects ?? []).Select(
                x => x.Key
            ),
        ];

    private static ImportImage Read(BasicGetResult? got) =>
        JsonSerializer.Deserialize<ImportImage>(got.ShouldNotBeNull().Body.Span, WireJson.Options).ShouldNotBeNull();

    private sealed class LaterClock(TimeSpan by) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + by;
    }
}
