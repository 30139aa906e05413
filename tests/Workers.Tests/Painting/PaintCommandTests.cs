using Pipeline.Workers.Imaging;
using Pipeline.Workers.Painting;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Painting;

public sealed class PaintCommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("paint-");

    [Fact]
    public async Task Each_scene_gets_its_pictures_in_slot_order()
    {
        var storyboard = Write(
            """{ "imagesPerScene": 2, "scenes": [{ "id": "scene-1", "index": 1, "prompt": "a kite" }] }"""
        );

        (await RunAsync("paint", storyboard, _folder.FullName, "--width", "64", "--height", "96")).ShouldBe(0);

        var files = Directory.GetFiles(Path.Combine(_folder.FullName, "scene-1"));
        files.Select(Path.GetFileName).Order(StringComparer.Ordinal).ShouldBe(["0.png", "1.png"]);
        var bytes = await File.ReadAllBytesAsync(Path.Combine(_folder.FullName, "scene-1", "1.png"));
        bytes.ShouldBe(OfflinePainter.Paint(new PaintRequest("a kite", "scene-1", 1, 0, 64, 96)));
    }

    [Theory]
    [InlineData("""{ "scenes": [{ "id": "../out", "index": 1, "prompt": "a kite" }] }""")]
    [InlineData("""{ "scenes": [{ "index": 1 }] }""")]
    [InlineData("""{ "scenes": [{ "id": "a", "index": 1 }, { "id": "A", "index": 2 }] }""")]
    [InlineData("""{ "scenes": [] }""")]
    [InlineData("""{ "scenes": 1 }""")]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("no json")]
    public async Task What_is_no_storyboard_paints_nothing(string content)
    {
        (await RunAsync("paint", Write(content), _folder.FullName)).ShouldBe(1);

        _folder.GetDirectories().ShouldBeEmpty();
    }

    [Fact]
    public async Task Wrong_arguments_paint_nothing()
    {
        var storyboard = Write("""{ "scenes": [{ "id": "scene-1", "index": 1, "prompt": "a kite" }] }""");

        (await RunAsync("paint", Path.Combine(_folder.FullName, "absent"), _folder.FullName)).ShouldBe(1);
        (await RunAsync("paint", storyboard, _folder.FullName, "--width", "10")).ShouldBe(1);
        (await RunAsync("paint", storyboard, _folder.FullName, "--images", "0")).ShouldBe(1);
        _folder.GetDirectories().ShouldBeEmpty();
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private string Write(string content)
    {
        var file = Path.Combine(_folder.FullName, "storyboard.json");
        File.WriteAllText(file, content);
        return file;
    }

    private static Task<int> RunAsync(params string[] arguments)
    {
        var root = new System.CommandLine.RootCommand { PaintCommand.Create() };
        return root.Parse(arguments).InvokeAsync();
    }
}
