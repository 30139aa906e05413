using System.Text;
using System.Text.Json;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Cataloguing;

public sealed class CatalogVerbTests(ScratchServers servers) : IClassFixture<ScratchServers>
{
    [Fact]
    public async Task Entries_are_listed_by_prefix_page_by_page_and_counted()
    {
        foreach (var key in new[] { "list/a+b %2F.png", "list/b.gif", "list/🎉.bin", "lisu.png" })
            await servers.EntryAsync(key, type: key == "list/🎉.bin" ? "image/avif" : null);

        var first = await Cli.RunAsync(
            servers.Configuration,
            ["catalog", "--prefix", "list/", "--limit", "2", "--json"]
        );
        var second = await Cli.RunAsync(
            servers.Configuration,
            ["catalog", "--prefix", "list/", "--after", "list/b.gif", "--json"]
        );
        var counts = await Cli.RunAsync(servers.Configuration, "catalog", "--statistics", "--json");
        var table = await Cli.RunAsync(servers.Configuration, "catalog", "--prefix", "list/");

        first.Status.ShouldBe(0, first.Error);
        first.Lines.Select(Key).ShouldBe(["list/a+b %2F.png", "list/b.gif"]);
        second.Lines.Select(Key).ShouldBe(["list/🎉.bin"]);
        var statistics = JsonSerializer.Deserialize<JsonElement>(counts.Lines[0]);
        statistics
            .GetProperty("byPrefix")
            .EnumerateArray()
            .Single(x => x.GetProperty("prefix").GetString() == "list/")
            .GetProperty("objects")
            .GetInt64()
            .ShouldBe(3);
        // What a listing does not tell, the key's ending stands for.
        statistics
            .GetProperty("byType")
            .EnumerateArray()
            .Select(x => x.GetProperty("contentType").GetString())
            .Except(["image/png", "image/gif", "image/avif"], StringComparer.Ordinal)
            .ShouldBeEmpty();
        table.Out.ShouldContain("list/a+b %2F.png");
        table.Out.ShouldContain("never rebuilt");

        static string? Key(string line) => JsonSerializer.Deserialize<JsonElement>(line).GetProperty("key").GetString();
    }

    [Theory]
    [InlineData("record-object")]
    [InlineData("forget-object")]
    public async Task Object_command_says_on_the_wire_what_was_typed(string verb)
    {
        await using var route = await servers.RouteAsync(verb);
        var (good, bad) = (Guid.NewGuid(), Guid.NewGuid());
        await servers.ReceiptAsync(Guid.Empty, "applied", good);
        await servers.ReceiptAsync(Guid.Empty, "target-missing", bad);

        var result = await Cli.RunAsync(
            servers.Configuration,
            verb,
            "a+b %2F ü.png",
            "--command",
            $"{good}",
            "--wait",
            "30"
        );
        var missing = await Cli.RunAsync(servers.Configuration, verb, "x", "--command", $"{bad}", "--wait", "30");
        var late = await Cli.RunAsync(servers.Configuration, verb, "x", "--wait", "0");
        var wrong = await Cli.RunAsync(servers.Configuration, verb, new string('x', 1_025));

        result.Status.ShouldBe(0, result.Error);
        var got = (await route.BasicGetAsync(verb, autoAck: true)).ShouldNotBeNull();
        Encoding.UTF8.GetString(got.Body.Span).ShouldBe($$"""{"commandId":"{{good}}","objectKey":"a+b %2F ü.png"}""");
        got.BasicProperties.MessageId.ShouldBe($"{good}");
        missing.Status.ShouldBe(1);
        missing.Out.ShouldContain("target-missing");
        late.Status.ShouldBe(1);
        late.Error.ShouldContain("no receipt within 0 s");
        wrong.Status.ShouldBe(2);
    }

    [Fact]
    public async Task Rebuild_is_asked_for_watched_to_its_end_and_listed()
    {
        await using var route = await servers.RouteAsync("rebuild-catalog");
        var rebuild = Guid.NewGuid();
        var command = await servers.RebuildAsync(rebuild, "Abandoned");
        await servers.ReceiptAsync(Guid.Empty, "failed", command);

        var watched = await Cli.RunAsync(
            servers.Configuration,
            "rebuild-catalog",
            "--command",
            $"{command}",
            "--watch"
        );
        var listed = await Cli.RunAsync(servers.Configuration, "rebuilds");

        (await route.BasicGetAsync("rebuild-catalog", autoAck: true))
            .ShouldNotBeNull()
            .BasicProperties.MessageId.ShouldBe($"{command}");
        watched.Status.ShouldBe(1);
        watched.Out.ShouldContain("failed");
        watched.Error.ShouldContain("abandoned: 0 keys");
        listed.Out.ShouldContain($"{rebuild}");
        listed.Out.ShouldContain("NoSuchBucket");
    }

    [Fact]
    public async Task Running_rebuild_shows_rate_and_estimated_end_and_is_cancelled_by_either_id()
    {
        await using var route = await servers.RouteAsync("cancel-rebuild");
        var rebuild = Guid.NewGuid();
        var command = await servers.RebuildAsync(rebuild, "Listing");
        await servers.PartAsync(rebuild, 0, pages: 3, keys: 300, done: true);
        await servers.PartAsync(rebuild, 1, pages: 7, keys: 700, done: false);

        var listed = await Cli.RunAsync(servers.Configuration, "rebuilds", "--json");
        var row = listed
            .Lines.Select(x => JsonSerializer.Deserialize<JsonElement>(x))
            .Single(x => x.GetProperty("id").GetGuid() == rebuild);
        foreach (var id in new[] { rebuild, command })
        {
            var cancelled = await Cli.RunAsync(servers.Configuration, "cancel-rebuild", $"{id}");
            cancelled.Status.ShouldBe(0, cancelled.Error);
            var got = (await route.BasicGetAsync("cancel-rebuild", autoAck: true)).ShouldNotBeNull();
            JsonSerializer
                .Deserialize<CancelRebuild>(got.Body.Span, WireJson.Options)
                .ShouldNotBeNull()
                .RebuildId.ShouldBe(rebuild);
        }

        var unknown = await Cli.RunAsync(servers.Configuration, "cancel-rebuild", $"{Guid.NewGuid()}");

        (row.GetProperty("pages").GetInt64(), row.GetProperty("keys").GetInt64()).ShouldBe((10, 1_000));
        (row.GetProperty("partitions").GetInt32(), row.GetProperty("partitionsListed").GetInt32()).ShouldBe((2, 1));
        row.GetProperty("keysPerSecond").GetDouble().ShouldBeInRange(0.1, 101);
        // As many keys again are expected, at this rate.
        (row.GetProperty("estimatedEnd").GetDateTimeOffset() - DateTimeOffset.UtcNow).ShouldBeGreaterThan(
            TimeSpan.FromSeconds(5)
        );
        unknown.Status.ShouldBe(1);
        unknown.Error.ShouldContain("There is no rebuild");
    }
}
