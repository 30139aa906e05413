using System.Text.Json;
using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Tests.Formats;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Uploading;

public sealed class UploadVerbTests(ScratchServers servers) : IClassFixture<ScratchServers>
{
    [Fact]
    public async Task Files_are_stored_and_their_imports_are_queued()
    {
        await using var route = await servers.RouteAsync("import-image");
        await route.QueuePurgeAsync("import-image");
        using var folder = new ScratchFolder();
        var (a, b) = (Write(folder, "a.png", TinyFiles.Png()), Write(folder, "b.gif", TinyFiles.Gif()));
        var project = Guid.NewGuid();

        var run = await Cli.RunAsync(
            servers.Configuration,
            "upload",
            project.ToString(),
            a,
            b,
            "--scene",
            "scene-1",
            "--json"
        );

        run.Status.ShouldBe(0, run.Error);
        var lines = run.Lines.Select(x => JsonSerializer.Deserialize<JsonElement>(x)).ToList();
        lines.Select(x => x.GetProperty("slot").GetInt32()).ShouldBe([0, 1]);
        lines[1].GetProperty("contentType").GetString().ShouldBe("image/gif");
        var got = (await route.BasicGetAsync("import-image", autoAck: true)).ShouldNotBeNull();
        var command = JsonSerializer.Deserialize<ImportImage>(got.Body.Span, WireJson.Options).ShouldNotBeNull();
        command.CommandId.ShouldBe(lines[0].GetProperty("commandId").GetGuid());
        (await servers.Store.GetObjectMetadataAsync(servers.Bucket, command.UploadKey)).ContentLength.ShouldBe(
            TinyFiles.Png().Length
        );
    }

    [Fact]
    public async Task One_file_that_is_refused_keeps_all_of_them_back()
    {
        await using var route = await servers.RouteAsync("import-image");
        await route.QueuePurgeAsync("import-image");
        using var folder = new ScratchFolder();
        var (good, bad) = (Write(folder, "a.gif", TinyFiles.Gif()), Write(folder, "b.jpg", UploadedFiles.Text));
        var before = await CountAsync();

        var run = await Cli.RunAsync(servers.Configuration, "upload", Guid.NewGuid().ToString(), good, bad);

        run.Status.ShouldBe(1);
        run.Error.ShouldContain("b.jpg: the file is text, not PNG, JPEG, GIF, WebP or AVIF. Nothing was stored.");
        (await CountAsync()).ShouldBe(before);
        (await route.MessageCountAsync("import-image")).ShouldBe(0u);
    }

    [Theory]
    [InlineData("00000000-0000-0000-0000-000000000000", "nowhere.png", "all zeros")]
    [InlineData("6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11", "nowhere.png", "there is no such file")]
    public async Task What_cannot_be_right_is_wrong_usage(string project, string file, string expected)
    {
        var run = await Cli.RunAsync(servers.Configuration, "upload", project, file);

        run.Status.ShouldBe(2);
        run.Error.ShouldContain(expected);
    }

    private async Task<int> CountAsync() =>
        (await servers.Store.ListObjectsV2Async(new() { BucketName = servers.Bucket })).S3Objects?.Count ?? 0;

    private static string Write(ScratchFolder folder, string name, byte[] content)
    {
        var file = Path.Combine(folder.Path, name);
        File.WriteAllBytes(file, content);
        return file;
    }
}
