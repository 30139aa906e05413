using System.Text;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Terminal;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Publishing;

public sealed class SceneFileTests
{
    [Fact]
    public void Storyboard_is_read_as_it_stands()
    {
        var file = Parse(
            """{"title":"Kite","imagesPerScene":3,"scenes":[{"id":"b","index":7,"prompt":"x"},{"id":"a","index":2}]}"""
        );

        file.ImagesPerScene.ShouldBe(3);
        file.Scenes.ShouldBe([new SceneDefinition("b", 7, "x"), new SceneDefinition("a", 2, null)]);
        file.ProjectId.ShouldBeNull();
    }

    [Fact]
    public void Bare_command_brings_its_ids()
    {
        var command = Guid.NewGuid();
        var project = Guid.NewGuid();

        var file = Parse($$"""{"commandId":"{{command}}","projectId":"{{project}}","scenes":[{"id":"a","index":1}]}""");

        file.CommandId.ShouldBe(command);
        file.ProjectId.ShouldBe(project);
    }

    [Fact]
    public void Byte_order_mark_is_no_part_of_the_json() =>
        Parse("\uFEFF{\"scenes\":[{\"id\":\"a\",\"index\":1}]}").Scenes.Count.ShouldBe(1);

    [Theory]
    [InlineData("""{"scenes":[]}""", "scenes: must hold 1 to 1000 scenes")]
    [InlineData("""{}""", "scenes: must hold 1 to 1000 scenes")]
    [InlineData("""{"scenes":[{"index":1}]}""", "scenes[0].id: must have 1 to 100 characters")]
    [InlineData("""{"scenes":[{"id":"a\u0007","index":1}]}""", "scenes[0].id: must not contain control characters")]
    [InlineData("""{"scenes":[{"id":"a"}]}""", "scenes[0].index: is missing")]
    [InlineData("""{"scenes":[{"id":"a","index":0}]}""", "scenes[0].index: must be 1 to 1000000, not 0")]
    [InlineData("""{"scenes":[{"id":"a","index":1},{"id":"a","index":2}]}""", "scenes[1].id: 'a' stands twice")]
    [InlineData("""{"scenes":[{"id":"a","index":1},{"id":"b","index":1}]}""", "scenes[1].index: 1 stands twice")]
    [InlineData("""{"scenes":[null]}""", "scenes[0].id")]
    [InlineData("""{"scenes":[{"id":"a","index":"1"}]}""", "line 1, $.scenes[0].index: the value has the wrong type")]
    [InlineData("""{"scenes":[""", "is no storyboard: line 1")]
    [InlineData("null", "holds null")]
    public void What_cannot_be_right_is_told_with_its_place(string json, string problem) =>
        Should.Throw<UsageException>(() => Parse(json)).Message.ShouldContain(problem);

    [Fact]
    public void Everything_wrong_is_told_at_once()
    {
        var error = Should.Throw<UsageException>(() => Parse("""{"scenes":[{"id":"","index":0},{"id":"b"}]}"""));

        error.Message.ShouldContain("scenes[0].id");
        error.Message.ShouldContain("scenes[0].index");
        error.Message.ShouldContain("scenes[1].index");
    }

    [Theory]
    [InlineData(100, true)]
    [InlineData(101, false)]
    public void Id_has_at_most_100_characters(int length, bool isRight) =>
        SceneRules.Check([new SceneText(new string('x', length), 1, null)]).Problems.Count.ShouldBe(isRight ? 0 : 1);

    [Theory]
    [InlineData(1_000, true)]
    [InlineData(1_001, false)]
    public void Storyboard_has_at_most_1000_scenes(int count, bool isRight) =>
        SceneRules
            .Check([.. Enumerable.Range(1, count).Select(x => new SceneText($"s{x}", x, null))])
            .Problems.Count.ShouldBe(isRight ? 0 : 1);

    private static SceneFile Parse(string json) => SceneFile.Parse("file.json", Encoding.UTF8.GetBytes(json));
}
