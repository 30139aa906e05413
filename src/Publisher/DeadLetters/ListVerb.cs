using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Counts and groups the dead letters.</summary>
internal static class ListVerb
{
    private const string Help = """
        Count the dead letters and group them, by type and cause unless --by says otherwise. Nothing is moved.

        Examples:
          dead-letters list
          dead-letters list --by project --queue import-image
          dead-letters list --group 3f2a90b17c --messages --limit 20
        """;

    private const int LimitDefault = 100;

    public static Command Build(VerbRunner verbs)
    {
        var selection = new SelectionOptions();
        var by = new Option<string>("--by")
        {
            Description = "What the letters of a group have in common.",
            DefaultValueFactory = _ => LetterGroups.ByCause,
        };
        by.AcceptOnlyFromAmong(LetterGroups.Dimensions);
        var messages = new Option<bool>("--messages") { Description = "List the messages and not the groups." };
        var limit = SharedOptions.Number("--limit", $"Rows at most; {LimitDefault} by default.", 1, 100_000);
        return verbs.Command(
            "list",
            Help,
            [.. selection.LookingSymbols, by, messages, limit],
            async (parsed, context, cancellation) =>
            {
                var wanted = selection.Read(parsed);
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var letters = Peek.ReadAsync(
                    context.Settings.Broker,
                    await DeadLettersVerb.QueuesAsync(wanted, database, cancellation),
                    wanted,
                    context.Clock,
                    context.Screen.NoteAsync,
                    cancellation
                );
                var rows = parsed.GetValue(limit) ?? LimitDefault;
                if (parsed.GetValue(messages))
                    await PrintMessagesAsync(letters, rows, context.Screen);
                else
                {
                    var groups = new LetterGroups(parsed.GetRequiredValue(by), context.Clock.GetUtcNow());
                    await foreach (var letter in letters)
                        groups.Add(letter);
                    await PrintAsync(groups, rows, context.Screen);
                }

                return Exit.Done;
            }
        );
    }

    public static async Task PrintAsync(LetterGroups groups, int limit, Screen screen)
    {
        if (screen.Json)
        {
            foreach (var x in groups.Groups.Take(limit))
                await screen.ObjectAsync(
                    new
                    {
                        group = x.Id,
                        key = x.Key,
                        count = x.Count,
                        projects = x.Projects,
                        queues = x.Queues,
                        oldest = x.Oldest,
                        newest = x.Newest,
                    }
                );
            return;
        }

        if (groups.Count > 0)
        {
            var table = new TextTable("group", "count", "projects", "oldest", "newest", "queues", "what");
            foreach (var x in groups.Groups.Take(limit))
                table.Add(x.Id, x.Count, x.Projects, x.Oldest, x.Newest, string.Join(' ', x.Queues), x.Key);
            foreach (var line in table.Lines())
                await screen.LineAsync(line);
        }

        await screen.NoteAsync($"{groups.Count} dead letters in {groups.Groups.Count()} groups.");
    }

    private static async Task PrintMessagesAsync(IAsyncEnumerable<DeadLetter> letters, int limit, Screen screen)
    {
        var table = new TextTable("failed at", "message id", "type", "project", "replays", "queue", "cause");
        var count = 0;
        await foreach (var x in letters)
        {
            if (count++ >= limit)
                continue; // Counted to the end, so that the last line is true.
            if (screen.Json)
                await screen.ObjectAsync(LetterText.Summary(x));
            else
                table.Add(x.FailedAt, x.MessageId, x.Type, x.ProjectId, x.Replays, x.Queue, x.Cause);
        }

        if (screen.Json)
            return;
        if (count > 0)
        {
            foreach (var line in table.Lines())
                await screen.LineAsync(line);
        }

        await screen.NoteAsync($"{count} dead letters.");
    }
}
