using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Generating;

/// <summary>Shows what was asked for in a project, and how it stands.</summary>
internal static class GenerationsVerb
{
    private const string Help = """
        Show a project's requests for pictures, newest first: state, attempt, next attempt, lease, outcome and failure.

        Examples:
          generations 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --watch
          generations 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --open --limit 20 --json
        """;

    private const int LimitDefault = 100;
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(1);

    public static Command Build(VerbRunner verbs)
    {
        var project = new Argument<Guid>("PROJECT") { Description = "The project's id." };
        var open = new Option<bool>("--open") { Description = "Only what has not ended." };
        var watch = new Option<bool>("--watch")
        {
            Description = "Show it again each second, until every request has ended, or Ctrl-C.",
        };
        var limit = SharedOptions.Number("--limit", $"How many; {LimitDefault} by default.", 1, Page.LimitMax);
        return verbs.Command(
            "generations",
            Help,
            [project, open, watch, limit],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var view = new View(
                    parsed.GetValue(project),
                    parsed.GetValue(open),
                    new Page(parsed.GetValue(limit) ?? LimitDefault),
                    new GenerationReads(database)
                );
                return parsed.GetValue(watch)
                    ? await WatchAsync(view, context, cancellation)
                    : await ShowAsync(view, context.Screen, cancellation);
            }
        );
    }

    private static async Task<int> ShowAsync(View view, Screen screen, CancellationToken cancellation)
    {
        if (await PrintAsync(view, screen, cancellation) is { Count: 0 })
            throw new FailureException(
                $"No picture was ever asked for in project {view.Project}; a command may still be queued."
            );
        return Exit.Done;
    }

    private static async Task<int> WatchAsync(View view, VerbContext context, CancellationToken cancellation)
    {
        var screen = context.Screen;
        try
        {
            while (true)
            {
                // Home and clear. Not where the output is a file: there the states follow each other.
                if (screen.Repaints && !screen.Json && !Console.IsOutputRedirected)
                    await screen.Out.WriteAsync("\u001b[H\u001b[2J");
                var counts = await PrintAsync(view, screen, cancellation);
                if (counts.Count > 0 && counts.Keys.All(x => ReceiptText.Outcomes.Contains(x, StringComparer.Ordinal)))
                    return Exit.Done;
                await Task.Delay(WatchInterval, context.Clock, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return Exit.Done; // Ctrl-C is how one stops watching.
        }
    }

    /// <returns>All requests of the project, by outcome or state.</returns>
    private static async Task<SortedDictionary<string, long>> PrintAsync(
        View view,
        Screen screen,
        CancellationToken cancellation
    )
    {
        var counts = await view.Reads.CountsAsync(view.Project, cancellation);
        var targets = await view.Reads.OfProjectAsync(view.Project, view.OpenOnly, view.Page, cancellation);
        if (screen.Json)
        {
            foreach (var target in targets)
                await screen.ObjectAsync(target);
            return counts;
        }

        if (counts.Count == 0)
            return counts;
        foreach (var line in GenerationText.Table(targets))
            await screen.LineAsync(line);
        await screen.LineAsync($"requests: {ReceiptText.Counts(counts)}");
        foreach (var gate in await view.Reads.ClosedGatesAsync(cancellation))
            await screen.LineAsync($"provider {gate.Provider} is closed until {gate.ClosedUntil:u}: {gate.Reason}");
        return counts;
    }

    private sealed record View(Guid Project, bool OpenOnly, Page Page, GenerationReads Reads);
}

/// <summary>Generations as text.</summary>
internal static class GenerationText
{
    public static IEnumerable<string> Table(IEnumerable<TargetRow> targets)
    {
        var table = new TextTable(
            "asked",
            "scene",
            "slot",
            "state",
            "attempt",
            "outcome",
            "next attempt",
            "lease until",
            "generation",
            "request",
            "failure"
        );
        foreach (var x in targets)
            table.Add(
                x.CreatedAt,
                x.SceneId ?? x.SceneIndex?.ToString(),
                x.Slot,
                x.State,
                x.Attempt,
                x.Outcome,
                x.DueAt,
                x.LeaseUntil,
                x.GenerationId,
                x.CommandId,
                x.FailureReason ?? ""
            );
        return table.Lines();
    }
}
