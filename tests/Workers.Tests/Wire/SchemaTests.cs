using System.Text.Json;
using System.Text.Json.Nodes;
using Pipeline.Contracts;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Saving;
using Pipeline.Contracts.Storyboards;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Wire;

/// <summary>A schema says what its contract says, and the check of what comes in says what the schema says.</summary>
public sealed class SchemaTests
{
    [Fact]
    public void Every_contract_says_what_it_is_or_is_a_part_of_others()
    {
        var contracts = typeof(ILaneCommand)
            .Assembly.GetExportedTypes()
            .Where(x => x is { IsClass: true, IsAbstract: false })
            .ToArray();
        var messages = MessageCatalog.All.Select(x => x.Type).ToHashSet();
        var parts = contracts
            .Except(messages)
            .Where(x =>
                contracts.Any(y => y.GetProperties().Any(z => z.PropertyType.ToString().Contains(x.FullName!)))
            );

        contracts
            .Except(messages)
            .Except(parts)
            .ShouldBeEmpty("Its summary must begin with Command:, Event:, 'Message, internal' or 'Command, internal'.");
        foreach (var message in MessageCatalog.All)
        {
            // Workers declare the exchanges of what has a moment as those of events.
            (message.Type.GetProperty("At") is not null).ShouldBe(message.Kind == MessageKind.Event, message.Name);
            if (message.IsCommand)
                message.Requires("commandId").ShouldBeTrue(message.Name);
        }
    }

    [Fact]
    public void Every_property_is_described_and_every_example_fits()
    {
        foreach (var message in MessageCatalog.All)
        {
            var schema = message.Schema();
            message.Example.ShouldNotBeNull(message.Name);
            Check(message, message.Example.ToJsonString()).ShouldBeEmpty(message.Name);
            foreach (var (name, property) in schema["properties"]!.AsObject())
                ((string?)property!["description"]).ShouldNotBeNullOrEmpty($"{message.Name}.{name}");
        }
    }

    [Fact]
    public void Every_example_comes_back_from_its_record_as_it_was()
    {
        foreach (var message in MessageCatalog.All)
        {
            var example = new ForeignMessage(message);
            var record = example.Body.Deserialize(message.Type, WireJson.Options);
            example
                .Differences(JsonSerializer.SerializeToNode(record, message.Type, WireJson.Options)!)
                .ShouldBeEmpty();
        }
    }

    [Theory]
    [InlineData("slot", "-1", "slot: must be 0 to 9999.")]
    [InlineData("slot", "10000", "slot: must be 0 to 9999.")]
    [InlineData("slot", "0.5", "slot: must be a whole number of 32 bits, without fraction or exponent.")]
    [InlineData("slot", "\"0\"", "slot: must be a whole number of 32 bits, without fraction or exponent.")]
    [InlineData("slot", "3000000000", "slot: must be a whole number of 32 bits, without fraction or exponent.")]
    [InlineData("slot", "null", "slot: must not be null.")]
    [InlineData("byteLength", "26214401", "byteLength: must be 1 to 26214400.")]
    [InlineData("sceneId", "\"\"", "sceneId: must have 1 to 100 characters.")]
    [InlineData("sceneId", "\"a\\u0007\"", "sceneId: must not contain control characters.")]
    [InlineData("sceneId", "\"scene\\n\"", "sceneId: must not contain control characters.")]
    [InlineData("sceneId", "\"\\ud800\"", "sceneId: must be valid Unicode text.")]
    [InlineData("sceneId", "7", "sceneId: must be a string.")]
    [InlineData("imageId", "\"00000000-0000-0000-0000-000000000000\"", "imageId: must not be empty or all zeros.")]
    [InlineData("imageId", "\"x\"", "imageId: must be a UUID, such as 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11.")]
    [InlineData("imageId", "[]", "imageId: must be a UUID, such as 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11.")]
    [InlineData(
        "contentType",
        "\"image/svg\"",
        "contentType: must be one of image/png, image/jpeg, image/gif, image/webp, image/avif."
    )]
    [InlineData("sha256", "\"ABC\"", "sha256: must be 64 lower-case hexadecimal digits.")]
    [InlineData(
        "objectKey",
        "\"/\"",
        "objectKey: must be 'projects/{projectId}/{imageId}/{sha256}.{png|jpg|gif|webp|avif}'."
    )]
    [InlineData("imageId", null, "imageId: is required.")]
    public void Broken_rule_of_a_save_is_named_with_its_path(string property, string? json, string rule) =>
        Broken(MessageCatalog.Of<SaveImage>(), property, json).ShouldBe([rule]);

    [Theory]
    [InlineData("deadline", "\"2026-01-31T12:30:00\"")]
    [InlineData("deadline", "\"2026-01-31\"")]
    [InlineData("deadline", "\"tomorrow\"")]
    [InlineData("deadline", "17")]
    public void Moment_has_its_offset(string property, string json) =>
        Broken(MessageCatalog.Of<GenerateImage>(), property, json)
            .ShouldBe(["deadline: must be a date and time with offset, such as 2026-01-31T12:00:00Z (RFC 3339)."]);

    [Theory]
    [InlineData("{\"a\":7}", "options.a: must be a string.")]
    [InlineData("{\"\":\"x\"}", "options.: must have 1 to 200 characters.")]
    [InlineData("[]", "options: must be an object.")]
    [InlineData("{\"a\":null}", "options.a: must not be null.")]
    [InlineData("{\"\\ud800\":\"x\"}", "options: must be valid Unicode text.")]
    public void Maps_are_checked_by_name_and_value(string json, string rule) =>
        Broken(MessageCatalog.Of<GenerateImage>(), "options", json).ShouldBe([rule]);

    [Fact]
    public void Lists_are_checked_value_by_value_and_all_problems_come_at_once_up_to_a_bound()
    {
        var message = MessageCatalog.Of<DefineScenes>();

        Broken(message, "scenes", "[]").ShouldBe(["scenes: must hold 1 to 1000."]);
        Broken(message, "scenes", """[{"id":"a","index":1},{"index":0},7]""")
            .ShouldBe([
                "scenes[1].id: is required.",
                "scenes[1].index: must be 1 to 1000000.",
                "scenes[2]: must be an object.",
            ]);
        Broken(message, "scenes", $"[{string.Join(',', Enumerable.Repeat("7", 1000))}]").Count.ShouldBe(10);
        Check(message, "[]").ShouldBe(["The body must be an object."]);
    }

    [Fact]
    public void Lengths_are_counted_in_code_points_as_JSON_Schema_counts_them()
    {
        var message = MessageCatalog.Of<SaveImage>();
        var kites = string.Concat(Enumerable.Repeat("\U0001FA81", Limits.SceneIdLength));

        Broken(message, "sceneId", JsonSerializer.Serialize(kites)).ShouldBeEmpty();
        Broken(message, "sceneId", JsonSerializer.Serialize(kites + "x")).ShouldHaveSingleItem();
    }

    [Fact]
    public void Unknown_properties_and_absent_optional_ones_are_no_problem()
    {
        var message = MessageCatalog.Of<SaveImage>();
        var body = message.Example!.DeepClone().AsObject();
        body["Slot"] = "another";
        body["colour"] = new JsonArray(1, "two");
        foreach (var optional in body.Select(x => x.Key).Where(x => !message.Requires(x)).ToArray())
            body.Remove(optional);

        Check(message, body.ToJsonString()).ShouldBeEmpty();
    }

    private static IReadOnlyList<string> Broken(MessageContract message, string property, string? json)
    {
        var fields = message
            .Example!.AsObject()
            .Where(x => x.Key != property)
            .Select(x => $"{JsonSerializer.Serialize(x.Key)}:{x.Value?.ToJsonString(WireJson.Options) ?? "null"}");
        // As text, because no JSON library writes half a character.
        var all = json is null ? fields : fields.Append($"\"{property}\":{json}");
        return Check(message, $"{{{string.Join(',', all)}}}");
    }

    private static IReadOnlyList<string> Check(MessageContract message, string json)
    {
        using var body = JsonDocument.Parse(json);
        return message.Check(body.RootElement);
    }
}
