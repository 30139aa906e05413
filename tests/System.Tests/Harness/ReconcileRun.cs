using System.Text.Json;
using Pipeline.Publisher;

namespace Pipeline.SystemTests.Harness;

/// <summary>One run of <c>publisher reconcile --json</c>.</summary>
internal sealed record ReconcileRun(int Status, string Error, string Id, IReadOnlyList<FoundLine> Findings)
{
    public static async Task<ReconcileRun> OfAsync(ServedPublisher publisher, params string[] arguments)
    {
        using var standard = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var terminal = new TerminalWriters(standard, error, Repaints: false);
        var status = await new CommandLine(publisher.Configuration, TimeProvider.System, terminal).RunAsync(
            ["reconcile", .. arguments, "--json"],
            CancellationToken.None
        );
        var lines = standard
            .ToString()
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(x => JsonSerializer.Deserialize<JsonElement>(x))
            .ToList();
        var id = lines.Count == 0 ? null : lines[0].GetProperty("id").GetString();
        return new ReconcileRun(status, error.ToString(), id ?? "", [.. lines.Skip(1).Select(FoundLine.Of)]);
    }
}

/// <summary>A finding, and what became of its repair.</summary>
internal sealed record FoundLine(string Kind, string Key, string? Outcome)
{
    public static FoundLine Of(JsonElement line) =>
        new(
            line.GetProperty("kind").GetString() ?? "",
            line.GetProperty("key").GetString() ?? "",
            line.GetProperty("repairOutcome").GetString()
        );
}
