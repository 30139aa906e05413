using System.CommandLine;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Status;

/// <summary>Shows how commands ended.</summary>
internal static class ReceiptsVerb
{
    private const string Help = """
        Show how a command, or the commands of a project, ended: newest first. Exit status 1 where there is no receipt.
        A command's id counts within its project, so several projects may each have a command of the id.

        Examples:
          receipts 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11 --wait 30
          receipts 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --outcome rejected --json
        """;

    private const int LimitDefault = 100;
    private const int WaitSecondsMax = 86_400;
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(200);

    public static Command Build(VerbRunner verbs)
    {
        var id = new Argument<Guid>("ID") { Description = "A command's id or a project's id." };
        var wait = SharedOptions.Number("--wait", "Wait so many seconds for the first receipt.", 0, WaitSecondsMax);
        var outcome = new Option<string?>("--outcome") { Description = "Only these." };
        outcome.AcceptOnlyFromAmong(ReceiptText.Outcomes);
        var limit = SharedOptions.Number("--limit", $"How many; {LimitDefault} by default.", 1, Page.LimitMax);
        return verbs.Command(
            "receipts",
            Help,
            [id, wait, outcome, limit],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var receipts = await WaitAsync(
                    new ReceiptReads(database),
                    parsed.GetValue(id),
                    parsed.GetValue(outcome),
                    new Page(parsed.GetValue(limit) ?? LimitDefault),
                    TimeSpan.FromSeconds(parsed.GetValue(wait) ?? 0),
                    context.Clock,
                    cancellation
                );
                if (receipts.Count == 0)
                    throw new FailureException(Nothing(parsed.GetValue(id), parsed.GetValue(outcome)));
                await PrintAsync(receipts, context.Screen);
                return Exit.Done;
            }
        );
    }

    private static async Task<List<ReceiptRow>> WaitAsync(
        ReceiptReads reads,
        Guid id,
        string? outcome,
        Page page,
        TimeSpan wait,
        TimeProvider clock,
        CancellationToken cancellation
    )
    {
        var started = clock.GetTimestamp();
        while (true)
        {
            var receipts = await reads.WithIdAsync(id, page, cancellation);
            receipts =
                receipts.Count > 0
                    ? receipts.FindAll(x => outcome is null || x.Outcome == outcome)
                    : await reads.NewestAsync(id, outcome, page, cancellation);
            if (receipts.Count > 0 || clock.GetElapsedTime(started) >= wait)
                return receipts;
            await Task.Delay(PollInterval, clock, cancellation);
        }
    }

    private static string Nothing(Guid id, string? outcome) =>
        outcome is null
            ? $"There is no receipt of a command or project {id}. The command may still be queued: --wait SECONDS, or lanes."
            : $"There is no receipt '{outcome}' of a command or project {id}.";

    private static async Task PrintAsync(List<ReceiptRow> receipts, Screen screen)
    {
        if (screen.Json)
        {
            foreach (var receipt in receipts)
                await screen.ObjectAsync(receipt);
            return;
        }

        foreach (var line in ReceiptText.Table(receipts))
            await screen.LineAsync(line);
    }
}
