using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Pipeline.Publisher.Describing;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Describing;

/// <summary>The document that other services are written against; docs/asyncapi.json is the approved one.</summary>
public sealed class AsyncApiTests
{
    [Fact]
    public void Contracts_are_as_approved_and_a_breaking_change_says_so()
    {
        var (path, now) = (Approved(), AsyncApiDocument.WriteText());
        var approved = File.Exists(path) ? File.ReadAllText(path) : now;
        var breaking = ContractChanges.Breaking(JsonNode.Parse(approved)!, JsonNode.Parse(now)!).ToArray();
        var asked = Environment.GetEnvironmentVariable("PIPELINE_APPROVE");
        if (asked == "breaking" || (asked == "1" && breaking.Length == 0))
        {
            File.WriteAllText(path, now);
            return;
        }

        breaking.ShouldBeEmpty(
            "Services that others have written would fail: add a new message or an optional property instead. "
                + "Only where nobody can have used it yet: PIPELINE_APPROVE=breaking."
        );
        (now == approved && File.Exists(path)).ShouldBeTrue(
            "docs/asyncapi.json is out of date. Nothing in the change is breaking: run once with PIPELINE_APPROVE=1."
        );
    }

    [Fact]
    public void Breaking_changes_are_told_from_harmless_ones()
    {
        var document = AsyncApiDocument.Write();
        Changed(_ => { }).ShouldBeEmpty();
        Changed(x => Schema(x, "save-image")["properties"]!["note"] = new JsonObject { ["type"] = "string" })
            .ShouldBeEmpty();
        Changed(x => Schema(x, "save-image")["properties"]!["slot"]!["maximum"] = 10_000).ShouldBeEmpty();
        Changed(x => Schema(x, "save-image")["properties"]!["slot"]!["maximum"] = 9)
            .ShouldBe(["save-image.slot: maximum is lower"]);
        Changed(x => Schema(x, "save-image")["required"]!.AsArray().Add("slot"))
            .ShouldBe(["save-image.slot: is required now"]);
        Changed(x => Schema(x, "image-saved")["required"]!.AsArray().RemoveAt(0))
            .ShouldBe(["image-saved.commandId: may be missing now"]);
        Changed(x => Schema(x, "image-saved")["properties"]!.AsObject().Remove("slot"))
            .ShouldBe(["image-saved.slot: is gone"]);
        Changed(x =>
                Schema(x, "define-scenes")["properties"]!["scenes"]!["items"]!["properties"]!["id"]!["type"] = "integer"
            )
            .ShouldBe(["define-scenes.scenes[].id: has another type"]);
        Changed(x => x["components"]!["schemas"]!.AsObject().Remove("image-saved")).ShouldBe(["image-saved: is gone"]);

        IEnumerable<string> Changed(Action<JsonNode> change)
        {
            var other = document.DeepClone();
            change(other);
            return ContractChanges.Breaking(document, other);
        }

        static JsonNode Schema(JsonNode x, string name) => x["components"]!["schemas"]![name]!;
    }

    [Fact]
    public void Every_public_message_is_described_and_no_internal_one()
    {
        var document = AsyncApiDocument.Write();
        var messages = MessageCatalog.Public.Select(x => x.Name).ToArray();

        Names(document["channels"]).ShouldBe(messages);
        Names(document["components"]!["schemas"]).ShouldBe(messages);
        foreach (var message in MessageCatalog.Public)
        {
            var action = message.Kind == MessageKind.Event ? "send" : "receive";
            ((string?)document["operations"]![$"{action}-{message.Name}"]!["action"]).ShouldBe(action);
        }

        messages.ShouldContain(x => x == "save-image");
        messages.ShouldNotContain(x => x == "confirm-object" || x == "render-image");
        MessageCatalog.All.ShouldContain(x => x.Name == "confirm-object");
    }

    [Fact]
    public void Every_reference_leads_somewhere()
    {
        var document = AsyncApiDocument.Write();
        var references = References(document).ToArray();

        references.Length.ShouldBeGreaterThan(50);
        foreach (var reference in references)
            reference
                .Split('/')
                .Skip(1)
                .Aggregate((JsonNode?)document, (x, step) => x?[step])
                .ShouldNotBeNull(reference);
    }

    [Fact]
    public async Task Verbs_print_the_document_and_one_schema_without_any_setting()
    {
        using var folder = new ScratchFolder();
        var file = Path.Combine(folder.Path, "asyncapi.json");

        (await Cli.RunAsync(Cli.Settings(), "asyncapi", "--out", file)).Status.ShouldBe(0);
        File.ReadAllText(file).ShouldBe(AsyncApiDocument.WriteText());
        (await Cli.RunAsync(Cli.Settings(), "asyncapi")).Out.ShouldBe(AsyncApiDocument.WriteText());

        var schema = await Cli.RunAsync(Cli.Settings(), "schema", "render-image", "--json");
        schema.Lines.ShouldHaveSingleItem().ShouldContain("\"x-internal\":true");
        var unknown = await Cli.RunAsync(Cli.Settings(), "schema", "paint-the-fence");
        unknown.Status.ShouldBe(2);
        unknown.Error.ShouldContain("save-image");
        (await Cli.RunAsync(Cli.Settings(), "asyncapi", "--out", "/no/such/folder/x")).Status.ShouldBe(1);
    }

    private static string[] Names(JsonNode? node) => [.. node!.AsObject().Select(x => x.Key)];

    private static IEnumerable<string> References(JsonNode? node) =>
        node switch
        {
            JsonObject x when x["$ref"] is { } reference => [reference.ToString()],
            JsonObject x => x.SelectMany(y => References(y.Value)),
            JsonArray x => x.SelectMany(References),
            _ => [],
        };

    private static string Approved([CallerFilePath] string test = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(test)!, "..", "..", "..", "docs", "asyncapi.json"));
}
