using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
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

public sealed class UploadEndpointsTests(ScratchServers servers) : ServedPublisher(servers)
{
    private const string Queue = "import-image";

    public static TheoryData<string, string> Refusals =>
        new()
        {
            { "text", "files[0].content: the file is text, not PNG" },
            { "svg", "files[0].content: the file is an SVG" },
            { "wide png", "files[0].content: the file is a PNG of 60000×60000, more than 50000000 pixels" },
            { "zip bomb", "files[0].content: the file is something else" },
            { "cut jpeg", "files[0].content: the file is a JPEG that is damaged or ends too early" },
            { "empty", "files[0].content: the file is empty" },
            { "large", "files[0].content: the file is larger than 26214400 bytes" },
            { "path", "files[0].fileName: must be a name without a path" },
            { "windows path", "files[0].fileName: must be a name without a path" },
            { "dots", "files[0].fileName: must be the name of a file" },
            { "long name", "files[0].fileName: must have at most 255 characters" },
            { "second", "files[1].content: the file is text" },
            { "many", "files: must be at most 20" },
            { "none", "files: there is none" },
            { "slot", "files[0].slot: must be 0 to 9999" },
            { "unknown field", "admin: is no field of an upload" },
        };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task Refused_form_names_field_and_rule_and_nothing_is_stored(string name, string expected)
    {
        await using var route = await Scratch.RouteAsync(Queue);
        await route.QueuePurgeAsync(Queue);
        var before = await KeysAsync();

        using var answer = await Client.PostAsync($"/projects/{Project}/images", Hostile(name));

        var problem = await answer.Content.ReadFromJsonAsync<JsonElement>();
        await ShouldBeProblemAsync(answer, 422, "upload-refused");
        problem.GetProperty("errors").EnumerateArray().Single().GetString().ShouldNotBeNull().ShouldStartWith(expected);
        (await KeysAsync()).ShouldBe(before);
        (await route.MessageCountAsync(Queue)).ShouldBe(0u);
    }

    [Fact]
    public async Task Files_are_stored_under_keys_of_our_own_and_their_imports_are_queued()
    {
        await using var route = await Scratch.RouteAsync(Queue);
        await route.QueuePurgeAsync(Queue);
        var image = Guid.NewGuid();
        var form = UploadedFiles
            .Form()
            .WithField("sceneId", "scene-1")
            .WithField("slot", "4")
            .WithField("imageId", image.ToString())
            .AddFile("ä b+c%2F.png", TinyFiles.Png())
            .AddFile("second.jpg", TinyFiles.Avif());

        using var answer = await Client.PostAsync($"/projects/{Project}/images", form);

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var images = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("images");
        images[0].GetProperty("fileName").GetString().ShouldBe("ä b+c%2F.png");
        images[0].GetProperty("width").GetInt32().ShouldBe(3);
        images[1].GetProperty("contentType").GetString().ShouldBe("image/avif");
        var first = await CommandAsync(route);
        var second = await CommandAsync(route);
        (first.ImageId, first.SceneId, first.Slot).ShouldBe((image, "scene-1", 4));
        second.ImageId.ShouldNotBe(image);
        (second.SceneId, second.Slot).ShouldBe(("scene-1", 5));
        first.CommandId.ShouldBe(images[0].GetProperty("commandId").GetGuid());
        (await BytesAsync(first.UploadKey)).ShouldBe(TinyFiles.Png());
        (await BytesAsync(second.UploadKey)).ShouldBe(TinyFiles.Avif());
        Guid.TryParseExact(first.UploadKey.ShouldNotBeNull()["uploads/".Length..], "D", out _).ShouldBeTrue();
    }

    [Fact]
    public async Task Same_form_twice_is_the_same_commands()
    {
        await using var route = await Scratch.RouteAsync(Queue);

        var first = await SendAsync();
        var second = await SendAsync();

        first.ShouldContain("commandId");
        second.ShouldBe(first);

        async Task<string> SendAsync()
        {
            using var form = UploadedFiles.Form(("a.png", TinyFiles.Png()), ("b.gif", TinyFiles.Gif()));
            using var answer = await Client.PostAsync($"/projects/{Project}/images", form);
            return await answer.Content.ReadAsStringAsync();
        }
    }

    [Fact]
    public async Task Body_of_2_GB_is_refused_by_its_announced_length_before_it_comes()
    {
        using var client = await RawHttp.ConnectAsync(Client);

        await client.SendHeadAsync($"/projects/{Project}/images", "Content-Length: 2147483648");

        (await client.ReadAsync()).ShouldStartWith("HTTP/1.1 413");
    }

    [Fact]
    public async Task Body_without_an_end_is_read_no_further_than_a_file_may_be_long()
    {
        var before = await KeysAsync();
        using var client = await RawHttp.ConnectAsync(Client);
        await client.SendHeadAsync($"/projects/{Project}/images", "Transfer-Encoding: chunked");
        await client.SendChunkAsync([
            .. "--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.jpg\"\r\n\r\n"u8,
            0xFF,
            0xD8,
            0xFF,
        ]);

        var sent = await client.SendChunksUntilAnsweredAsync(new byte[64 * 1024], most: 2L * 1024 * 1024 * 1024);

        var answer = await client.ReadAsync();
        answer.ShouldStartWith("HTTP/1.1 422");
        answer.ShouldContain("files[0].content: the file is larger than 26214400 bytes");
        // What the publisher read, and what the sockets between hold at most.
        sent.ShouldBeInRange(25L * 1024 * 1024, 64L * 1024 * 1024);
        (await KeysAsync()).ShouldBe(before);
    }

    [Fact]
    public async Task Body_that_does_not_come_in_time_is_refused()
    {
        var settings = new Dictionary<string, string?>(Scratch.Settings, StringComparer.Ordinal)
        {
            ["Uploads:RequestTimeout"] = "00:00:01",
        };
        await using var hasty = PublisherApp.Build(
            new PublisherSettings(new ConfigurationBuilder().AddInMemoryCollection(settings).Build()),
            TimeProvider.System
        );
        await hasty.StartAsync();
        using var address = new HttpClient { BaseAddress = new Uri(hasty.Urls.Single()) };
        using var client = await RawHttp.ConnectAsync(address);

        await client.SendHeadAsync($"/projects/{Project}/images", "Content-Length: 1000");

        (await client.ReadAsync()).ShouldStartWith("HTTP/1.1 408");
    }

    [Fact]
    public async Task Form_that_is_cut_off_is_refused()
    {
        var body = await UploadedFiles.Form(("a.png", TinyFiles.Png())).ReadAsByteArrayAsync();
        using var cut = new ByteArrayContent(body[..^30]);
        cut.Headers.TryAddWithoutValidation("Content-Type", "multipart/form-data; boundary=" + Boundary(body));

        await ShouldBeProblemAsync(await Client.PostAsync($"/projects/{Project}/images", cut), 400, "bad-request");
    }

    [Fact]
    public async Task Page_of_another_origin_may_not_send_files()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/projects/{Project}/images");
        request.Headers.Add("Origin", "https://evil.example");
        request.Content = UploadedFiles.Form(("a.png", TinyFiles.Png()));

        await ShouldBeProblemAsync(await Client.SendAsync(request), 403, "other-origin");
    }

    [Fact]
    public async Task Compressed_form_is_refused()
    {
        var form = UploadedFiles.Form(("a.png", TinyFiles.Png()));
        form.Headers.ContentEncoding.Add("gzip");

        await ShouldBeProblemAsync(
            await Client.PostAsync($"/projects/{Project}/images", form),
            415,
            "unsupported-media-type"
        );
    }

    private static MultipartFormDataContent Hostile(string name) =>
        name switch
        {
            "text" => UploadedFiles.Form(("holiday.jpg", UploadedFiles.Text)),
            "svg" => UploadedFiles.Form(("logo.png", UploadedFiles.Svg)),
            "wide png" => UploadedFiles.Form(("a.png", TinyFiles.Png(60_000, 60_000))),
            "zip bomb" => UploadedFiles.Form(("a.png", UploadedFiles.ZipBomb())),
            "cut jpeg" => UploadedFiles.Form(("a.jpg", UploadedFiles.TruncatedJpeg)),
            "empty" => UploadedFiles.Form(("a.jpg", [])),
            "large" => UploadedFiles.Form(("a.jpg", [.. TinyFiles.Jpeg(), .. new byte[25 * 1024 * 1024]])),
            "path" => UploadedFiles.Form(("../../etc/passwd", TinyFiles.Png())),
            "windows path" => UploadedFiles.Form((@"..\\boot.ini", TinyFiles.Png())),
            "dots" => UploadedFiles.Form(("..", TinyFiles.Png())),
            "long name" => UploadedFiles.Form((new string('a', 256), TinyFiles.Png())),
            "second" => UploadedFiles.Form(("a.png", TinyFiles.Png()), ("b.png", UploadedFiles.Text)),
            "many" => UploadedFiles.Form([.. Enumerable.Range(0, 21).Select(x => ($"{x}.png", TinyFiles.Png()))]),
            "none" => UploadedFiles.Form().WithField("slot", "1"),
            "slot" => UploadedFiles.Form().WithField("slot", "10000").AddFile("a.png", TinyFiles.Png()),
            "unknown field" => UploadedFiles.Form().WithField("admin", "true").AddFile("a.png", TinyFiles.Png()),
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "No such case."),
        };

    private async Task<List<string>> KeysAsync() =>
        [
            .. ((await Scratch.Store.ListObjectsV2Async(new() { BucketName = Scratch.Bucket })).S3Objects ?? []).Select(
                x => x.Key
            ),
        ];

    private async Task<byte[]> BytesAsync(string? key)
    {
        using var found = await Scratch.Store.GetObjectAsync(Scratch.Bucket, key);
        using var bytes = new MemoryStream();
        await found.ResponseStream.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    private static async Task<ImportImage> CommandAsync(IChannel route)
    {
        var got = await route.BasicGetAsync(Queue, autoAck: true);
        return JsonSerializer
            .Deserialize<ImportImage>(got.ShouldNotBeNull().Body.Span, WireJson.Options)
            .ShouldNotBeNull();
    }

    private static string Boundary(byte[] body) => Encoding.ASCII.GetString(body).Split("\r\n")[0][2..];
}
