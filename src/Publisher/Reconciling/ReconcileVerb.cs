using System.CommandLine;
using System.Globalization;
using Pipeline.Contracts.Reconciling;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Reconciling;

/// <summary>Compares bucket, pictures, catalogue and URLs; repairs when asked.</summary>
internal static class ReconcileVerb
{
    private const string Help = """
        Compare bucket, pictures, catalogue and URLs, and list what does not agree. Nothing is changed without --repair.

        --repair ID repairs what that reconciliation has found, once and within a day. --repair alone looks first and then
        repairs exactly that. Every repair is a command with a receipt, and looks again before it changes anything.

        Exit status 1 where something does not agree, or where a repair has failed.

        Examples:
          reconcile
          reconcile --grace 00:10:00 --deep --json
          reconcile --repair 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11
        """;

    private const int FindingsShown = 20;
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(200);

    public static Command Build(VerbRunner verbs)
    {
        var repair = new Option<Guid?>("--repair")
        {
            Description = "Repair what this reconciliation has found; without an id, what is found now.",
            Arity = ArgumentArity.ZeroOrOne,
            HelpName = "UUID",
        };
        var grace = new Option<TimeSpan?>("--grace")
        {
            Description =
                "What was written later than so long ago is in flight; the workers' Reconciling__Grace by default.",
            CustomParser = result =>
            {
                if (TimeSpan.TryParse(result.Tokens[0].Value, CultureInfo.InvariantCulture, out var length))
                    return length;
                result.AddError("--grace must be a duration, such as 00:10:00.");
                return null;
            },
        };
        var deep = new Option<bool>("--deep") { Description = "Read every picture and compare its hash." };
        return verbs.Command(
            "reconcile",
            Help,
            [repair, grace, deep],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                await using var sender = new CommandSender(
                    context.Settings.Broker,
                    "publisher reconcile",
                    context.Clock
                );
                var run = new Run(context, new ReconciliationReads(database), new ReceiptReads(database), sender);
                var found = parsed.GetValue(repair);
                if (found is null)
                {
                    var dry = await run.RunAsync(
                        new Reconcile(Guid.NewGuid(), parsed.GetValue(grace), parsed.GetValue(deep), RepairOf: null),
                        cancellation
                    );
                    await run.ShowAsync(dry, dry.Id, cancellation);
                    if (parsed.GetResult(repair) is null || dry.Findings == 0)
                        return dry.Findings == 0 ? Exit.Done : Exit.Failed;
                    found = dry.Id;
                }

                var repaired = await run.RunAsync(
                    new Reconcile(Guid.NewGuid(), Grace: null, ReadBytes: false, found),
                    cancellation
                );
                return await run.ShowAsync(repaired, found.Value, cancellation) ? Exit.Done : Exit.Failed;
            }
        );
    }

    /// <summary>One reconciliation after the other, each waited for.</summary>
    private sealed class Run(
        VerbContext context,
        ReconciliationReads reads,
        ReceiptReads receipts,
        CommandSender sender
    )
    {
        public async Task<ReconciliationRow> RunAsync(Reconcile command, CancellationToken cancellation)
        {
            await sender.SendAsync(WireMessage.Command(command, command.CommandId, Guid.Empty), cancellation);
            var progress = new ProgressLine(context.Screen, context.Clock);
            using var timer = new PeriodicTimer(PollInterval, context.Clock);
            while (true)
            {
                var row = await reads.FindAsync(command.CommandId, cancellation);
                if (row is { EndedAt: not null, State: not "Failed" })
                {
                    await progress.EndAsync(Progress(row));
                    return row;
                }

                if (
                    await receipts.FindAsync(CommandKey.Of(command), cancellation) is { Outcome: not "applied" } receipt
                )
                    throw new FailureException($"The reconciliation was {receipt.Outcome}: {receipt.Reason}");
                if (row is not null)
                    await progress.ShowAsync(Progress(row));
                await timer.WaitForNextTickAsync(cancellation);
            }
        }

        /// <returns>False where a repair has failed.</returns>
        public async Task<bool> ShowAsync(ReconciliationRow row, Guid found, CancellationToken cancellation)
        {
            var screen = context.Screen;
            if (screen.Json)
                await screen.ObjectAsync(row);
            else
                await screen.LineAsync(
                    row.RepairOf is null
                        ? $"reconciliation  {row.Id}: {row.Findings} findings in {row.Objects} objects and {row.Rows} known keys"
                        : $"reconciliation  {row.Id}: {row.Findings} commands"
                );
            var (shown, isWhole) = (0, true);
            await foreach (var finding in reads.AllFindingsAsync(found, cancellation))
            {
                isWhole &= finding.RepairOutcome is not ("failed" or "rejected");
                if (screen.Json)
                    await screen.ObjectAsync(finding);
                else if (shown++ < FindingsShown)
                    await screen.LineAsync($"{finding.Kind}  {finding.Key}  {finding.RepairOutcome ?? finding.Detail}");
            }

            if (shown > FindingsShown)
                await screen.LineAsync($"... GET /reconciliations/{found} lists them all");
            return isWhole;
        }

        private static string Progress(ReconciliationRow row) =>
            row.RepairOf is null
                ? $"{row.Objects} objects compared, {row.Findings} findings {row.WaitsFor}"
                : $"{row.Findings} commands {row.WaitsFor}";
    }
}
