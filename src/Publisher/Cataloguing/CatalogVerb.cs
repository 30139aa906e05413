using System.CommandLine;
using System.Text.Json;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Cataloguing;

/// <summary>Shows what the store is known to hold.</summary>
internal static class CatalogVerb
{
    private const string Help = """
        Show the catalogue of the object store: its entries in the order of their keys, then counts by prefix and type.

        Examples:
          catalog --prefix projects/ --limit 20
          catalog --after 14000.jpg --json
          catalog --statistics --json
        """;

    private const int LimitDefault = 100;

    public static Command Build(VerbRunner verbs)
    {
        var prefix = new Option<string>("--prefix")
        {
            Description = "Only keys that begin so.",
            DefaultValueFactory = _ => "",
        };
        var after = new Option<string?>("--after") { Description = "Only keys after this one: the next page." };
        var limit = SharedOptions.Number("--limit", $"How many entries; {LimitDefault} by default.", 1, Page.LimitMax);
        var statistics = new Option<bool>("--statistics") { Description = "Only the counts." };
        return verbs.Command(
            "catalog",
            Help,
            [prefix, after, limit, statistics],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var reads = new CatalogReads(database);
                if (!parsed.GetValue(statistics))
                {
                    var entries = await reads.EntriesAsync(
                        parsed.GetValue(prefix) ?? "",
                        parsed.GetValue(after),
                        parsed.GetValue(limit) ?? LimitDefault,
                        cancellation
                    );
                    await PrintAsync(entries, context.Screen);
                    if (context.Screen.Json)
                        return Exit.Done;
                    await context.Screen.LineAsync("");
                }

                await PrintAsync(await reads.StatisticsAsync(cancellation), context.Screen);
                return Exit.Done;
            }
        );
    }

    private static async Task PrintAsync(List<EntryRow> entries, Screen screen)
    {
        if (screen.Json)
        {
            foreach (var entry in entries)
                await screen.ObjectAsync(entry);
            return;
        }

        var table = new TextTable("key", "bytes", "type", "modified", "first seen", "etag");
        foreach (var x in entries)
            table.Add(x.Key, x.Size, x.ContentType, x.LastModified, x.FirstSeen, x.ETag);
        foreach (var line in table.Lines())
            await screen.LineAsync(line);
    }

    private static async Task PrintAsync(CatalogStatistics statistics, Screen screen)
    {
        if (screen.Json)
        {
            await screen.ObjectAsync(statistics);
            return;
        }

        await PrintAsync(statistics.ByPrefix, "prefix", screen);
        await PrintAsync(statistics.ByType, "contentType", screen);
        await screen.LineAsync(
            $"{statistics.Objects} objects, {statistics.Bytes} bytes; the newest is of {statistics.NewestAt?.ToString("u") ?? "never"}"
        );
        await screen.LineAsync(
            statistics.LastRebuiltAt is { } at
                ? $"last rebuilt {at:u} ({statistics.LastRebuildId})"
                : "never rebuilt: rebuild-catalog lists the whole bucket"
        );
    }

    private static async Task PrintAsync(JsonElement counts, string name, Screen screen)
    {
        var table = new TextTable(name == "prefix" ? "prefix" : "type", "objects", "bytes");
        foreach (var x in counts.EnumerateArray())
            table.Add(
                x.GetProperty(name).GetString() is { Length: > 0 } text ? text : "(none)",
                x.GetProperty("objects").GetInt64(),
                x.GetProperty("bytes").GetInt64()
            );
        foreach (var line in table.Lines().Append(""))
            await screen.LineAsync(line);
    }
}
