using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Takes dead letters out of the way: for good, or into the parking queue.</summary>
internal static class MoveVerbs
{
    private const string DiscardHelp = """
        Throw dead letters away, for good. The command's receipt stays as it is. Consider export first.

        Example:
          dead-letters discard --group 3f2a90b17c --older-than 30d --reason "the projects are gone"
        """;

    private const string ParkHelp = """
        Put dead letters aside, each into the parking queue beside the queue in which it failed. They are not listed or
        replayed any more unless they are named, by --queue QUEUE_parked or by id.

        Example:
          dead-letters park 7d0a3f0e-1b52-4c1c-9f0e-3c5f1d2b4a10 --reason "to be looked at by Jane"
        """;

    public static Command BuildDiscard(VerbRunner verbs) =>
        Build(verbs, LetterAction.Discard, DiscardHelp, reasonRequired: true);

    public static Command BuildPark(VerbRunner verbs) =>
        Build(verbs, LetterAction.Park, ParkHelp, reasonRequired: false);

    private static Command Build(VerbRunner verbs, LetterAction action, string help, bool reasonRequired)
    {
        var selection = new SelectionOptions();
        var signature = new SignatureOptions(reasonRequired);
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say which they are." };
        return verbs.Command(
            action.Name,
            help,
            [.. selection.Symbols, dryRun, .. signature.Symbols],
            async (parsed, context, cancellation) =>
            {
                var wanted = selection.ReadDeliberate(parsed);
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var plan = await LetterPlan.MakeAsync(wanted, withForesight: false, database, context, cancellation);
                if (action == LetterAction.Park && plan.Counts.Keys.FirstOrDefault(IsParked) is { } parked)
                    throw new UsageException($"{parked} is a parking queue: its messages are parked already.");
                await LetterReport.PlanAsync(plan, context.Screen);
                return parsed.GetValue(dryRun) || plan.Count == 0
                    ? await LetterReport.EndAsync(action.Name, 0, plan, watch: null, context.Screen)
                    : await LetterJob.RunAsync(
                        action,
                        wanted,
                        plan,
                        signature.Read(parsed),
                        new Pace(perSecond: null, context.Clock),
                        watch: null,
                        context,
                        cancellation
                    );
            }
        );
    }

    private static bool IsParked(string queue) => queue == WireNames.ParkedQueue(QueueNames.OriginOf(queue));
}
