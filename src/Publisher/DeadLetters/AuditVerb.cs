using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Shows who did what about dead letters.</summary>
internal static class AuditVerb
{
    private const string Help = """
        Show who replayed, edited, discarded or parked what, when, why and how it ended: the newest first. "begun" without
        an end means that the process ended in between, and the dead letter may still lie in its queue.

        Examples:
          dead-letters audit
          dead-letters audit 7d0a3f0e-1b52-4c1c-9f0e-3c5f1d2b4a10
        """;

    private const int LimitDefault = 50;

    public static Command Build(VerbRunner verbs)
    {
        var id = new Argument<string?>("ID")
        {
            Description = "A message's id, or that of its edited successor.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var limit = SharedOptions.Number("--limit", $"Rows at most; {LimitDefault} by default.", 1, Page.LimitMax);
        return verbs.Command(
            "audit",
            Help,
            [id, limit],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var actions = await new DeadLetterReads(database).ActionsAsync(
                    parsed.GetValue(id),
                    parsed.GetValue(limit) ?? LimitDefault,
                    cancellation
                );
                if (context.Screen.Json)
                {
                    foreach (var action in actions)
                        await context.Screen.ObjectAsync(action);
                }
                else
                {
                    foreach (var line in Table(actions))
                        await context.Screen.LineAsync(line);
                }

                return Exit.Done;
            }
        );
    }

    public static IEnumerable<string> Table(IEnumerable<ActionRow> actions)
    {
        var table = new TextTable(
            "begun at",
            "action",
            "message id",
            "command",
            "by",
            "outcome",
            "successor",
            "reason"
        );
        foreach (var x in actions)
            table.Add(x.BegunAt, x.Action, x.MessageId, x.Command, x.DoneBy, x.Outcome, x.SuccessorId, x.Reason);
        return table.Lines();
    }
}
