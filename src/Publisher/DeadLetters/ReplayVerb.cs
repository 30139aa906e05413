using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Sends dead letters again.</summary>
internal static class ReplayVerb
{
    private const string Help = """
        Send dead letters again, each to the queue in which it failed, in the order in which they lie there. A message keeps
        its id, so that it takes effect once however often it is sent; it leaves the dead letters when the broker has
        confirmed it. Killed or interrupted, it is run again: what is left lies in its queue.

        Examples:
          dead-letters replay 7d0a3f0e-1b52-4c1c-9f0e-3c5f1d2b4a10
          dead-letters replay --group 3f2a90b17c --dry-run
          dead-letters replay --group 3f2a90b17c --canary 1 --rate 50/s --stop-above 5 --reason "bucket is back"
        """;

    private const int PatienceDefault = 60;

    public static Command Build(VerbRunner verbs)
    {
        var selection = new SelectionOptions();
        var rate = Pace.Option();
        var canary = SharedOptions.Number(
            "--canary",
            "Send so many first, and go on only if all of them end well.",
            1,
            100
        );
        var stopAbove = new Option<double?>("--stop-above")
        {
            Description = "Stop when more than this percentage of the answered fails again, judged from 20 answers on.",
            HelpName = "PERCENT",
        };
        stopAbove.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is < 0 or >= 100)
                result.AddError("--stop-above must be 0 or more and less than 100.");
        });
        var patience = SharedOptions.Number(
            "--patience",
            $"With --canary or --stop-above: seconds without any answer after which to stop; {PatienceDefault} by default.",
            1,
            86_400
        );
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say what would be sent." };
        var signature = new SignatureOptions();
        return verbs.Command(
            "replay",
            Help,
            [.. selection.Symbols, rate, canary, stopAbove, patience, dryRun, .. signature.Symbols],
            async (parsed, context, cancellation) =>
            {
                var wanted = selection.ReadDeliberate(parsed);
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var limits = new WatchLimits(
                    parsed.GetValue(canary) ?? 0,
                    parsed.GetValue(stopAbove),
                    TimeSpan.FromSeconds(parsed.GetValue(patience) ?? PatienceDefault)
                );
                var plan = await LetterPlan.MakeAsync(wanted, withForesight: true, database, context, cancellation);
                if (limits.NeedReceipts && plan.WithoutReceipts.Count > 0)
                    throw new UsageException(
                        $"--canary and --stop-above go by receipts, and these have none: {string.Join(", ", plan.WithoutReceipts)}. Select with --type, or go without."
                    );
                await LetterReport.PlanAsync(plan, context.Screen);
                if (parsed.GetValue(dryRun) || plan.Count == 0)
                    return await LetterReport.EndAsync(LetterAction.Replay.Name, 0, plan, watch: null, context.Screen);

                var watch = new AnswerWatch(limits, new ReceiptReads(database), context.Clock);
                return await LetterJob.RunAsync(
                    LetterAction.Replay,
                    wanted,
                    plan,
                    signature.Read(parsed),
                    new Pace(parsed.GetValue(rate), context.Clock),
                    watch,
                    context,
                    cancellation
                );
            }
        );
    }
}
