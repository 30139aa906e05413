using Pipeline.Contracts.Importing;
using Pipeline.Wire.Schemas;
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
        Refuse(Valid with { SourceUrl = null }).ShouldStartWith("sourceUrl, uploadKey:");
        Refuse(Valid with { UploadKey = "uploads/x" }).ShouldStartWith("sourceUrl, uploadKey:");
        Refuse(Valid with { SourceUrl = "a.png" }).ShouldStartWith("sourceUrl:");
        Refuse(Valid with { SourceUrl = "file:///etc/passwd" }).ShouldStartWith("sourceUrl:");
        Refuse(Valid with { SourceUrl = "http://a:b@example.com" }).ShouldStartWith("sourceUrl:");
    }

    // The rules of single fields are the contract's: the schema holds them, and the deserializer refuses by it.
    [Fact]
    public void Broken_field_is_named_by_the_schema()
    {
        Violated(Valid).ShouldBeNull();
        Violated(Valid with { ProjectId = Guid.Empty }).ShouldNotBeNull().ShouldStartWith("projectId:");
        Violated(Valid with { ImageId = Guid.Empty }).ShouldNotBeNull().ShouldStartWith("imageId:");
        Violated(Valid with { SceneId = "" }).ShouldNotBeNull().ShouldStartWith("sceneId:");
        Violated(Valid with { SceneId = new string('x', 101) }).ShouldNotBeNull().ShouldStartWith("sceneId:");
        Violated(Valid with { SceneId = "a\0b" }).ShouldNotBeNull().ShouldStartWith("sceneId:");
        Violated(Valid with { SceneIndex = 0 }).ShouldNotBeNull().ShouldStartWith("sceneIndex:");
        Violated(Valid with { Slot = -1 }).ShouldNotBeNull().ShouldStartWith("slot:");
        Violated(Valid with { Slot = 10_000 }).ShouldNotBeNull().ShouldStartWith("slot:");
        Violated(Valid with { SourceUrl = null, UploadKey = "projects/x" })
            .ShouldBe("uploadKey: must be 'uploads/' and an id.");
        Violated(Valid with { SourceUrl = "http://example.com/" + new string('x', 2_048) })
            .ShouldNotBeNull()
            .ShouldStartWith("sourceUrl:");
    }

    private static string? Violated(ImportImage command) =>
        MessageCatalog.Of<ImportImage>().Check(command) is [var first] ? first : null;

    private static string Refuse(ImportImage command) => ImportRules.Refuse(command).ShouldNotBeNull();
}
