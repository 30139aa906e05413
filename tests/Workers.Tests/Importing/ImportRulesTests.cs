using Pipeline.Contracts.Importing;
using Pipeline.Workers.Importing;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Importing;

public sealed class ImportRulesTests
{
    private static readonly ImportImage Valid = new(
        Guid.NewGuid(),
        Guid.NewGuid(),
        Guid.NewGuid(),
        "scene-1",
        1,
        0,
        "https://example.com/a.png",
        null
    );

    [Fact]
    public void Command_within_the_rules_passes()
    {
        ImportRules.Refuse(Valid).ShouldBeNull();
        ImportRules.Refuse(Valid with { SceneId = null, SceneIndex = null, Slot = 9_999 }).ShouldBeNull();
        ImportRules.Refuse(Valid with { SourceUrl = null, UploadKey = $"uploads/{Guid.NewGuid():D}" }).ShouldBeNull();
    }

    [Fact]
    public void Broken_rule_is_named_with_its_field()
    {
        Refuse(Valid with { ProjectId = Guid.Empty }).ShouldStartWith("projectId:");
        Refuse(Valid with { ImageId = Guid.Empty }).ShouldStartWith("imageId:");
        Refuse(Valid with { SceneId = "" }).ShouldStartWith("sceneId:");
        Refuse(Valid with { SceneId = new string('x', 101) }).ShouldStartWith("sceneId:");
        Refuse(Valid with { SceneId = "a\0b" }).ShouldStartWith("sceneId:");
        Refuse(Valid with { SceneIndex = 0 }).ShouldStartWith("sceneIndex:");
        Refuse(Valid with { Slot = -1 }).ShouldStartWith("slot:");
        Refuse(Valid with { Slot = 10_000 }).ShouldStartWith("slot:");
        Refuse(Valid with { SourceUrl = null }).ShouldStartWith("sourceUrl, uploadKey:");
        Refuse(Valid with { UploadKey = "uploads/x" }).ShouldStartWith("sourceUrl, uploadKey:");
        Refuse(Valid with { SourceUrl = null, UploadKey = "projects/x" }).ShouldStartWith("uploadKey:");
        Refuse(Valid with { SourceUrl = "a.png" }).ShouldStartWith("sourceUrl:");
        Refuse(Valid with { SourceUrl = "file:///etc/passwd" }).ShouldStartWith("sourceUrl:");
        Refuse(Valid with { SourceUrl = "http://a:b@example.com" }).ShouldStartWith("sourceUrl:");
        Refuse(Valid with { SourceUrl = "http://example.com/" + new string('x', 2_048) }).ShouldStartWith("sourceUrl:");
    }

    private static string Refuse(ImportImage command) => ImportRules.Refuse(command).ShouldNotBeNull();
}
