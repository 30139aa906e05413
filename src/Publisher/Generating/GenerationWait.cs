using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Generating;

/// <summary>Waits until requests have ended, and tells meanwhile how they stand.</summary>
internal sealed class GenerationWait(StatusDatabase database, Screen screen, TimeProvider clock)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(250);

    private readonly GenerationReads _reads = new(database);
    private readonly ReceiptReads _receipts = new(database);
    private readonly ProgressLine _progress = new(screen, clock);

    /// <returns>The receipts of those that have ended by then.</returns>
    public async Task<List<ReceiptRow>> EndsAsync(CommandKey[] commands, TimeSpan limit, CancellationToken cancellation)
    {
        var started = clock.GetTimestamp();
        var text = "";
        List<ReceiptRow> ends = [];
        try
        {
            while (true)
            {
                var elapsed = clock.GetElapsedTime(started);
                try
                {
                    ends = await _receipts.OfAsync(commands, cancellation);
                    text = await TextAsync(commands, ends, elapsed, cancellation);
                }
                catch (NpgsqlException e) when (e.IsTransient)
                {
                    text = DatabaseFailures.Describe(e); // Away for a moment: the limit ends the wait.
                }

                if (ends.Count == commands.Length || elapsed >= limit)
                    return ends;
                await _progress.ShowAsync(text);
                await Task.Delay(PollInterval, clock, cancellation);
            }
        }
        finally
        {
            await _progress.EndAsync(text);
        }
    }

    private async Task<string> TextAsync(
        CommandKey[] commands,
        List<ReceiptRow> ends,
        TimeSpan elapsed,
        CancellationToken cancellation
    )
    {
        var ended = ends.Select(x => x.Key).ToHashSet();
        var phases = (await _reads.OfCommandsAsync(commands, cancellation))
            .Where(x => !ended.Contains(new CommandKey(x.ProjectId, x.CommandId)))
            .Select(x => x.Phase)
            .Concat(ends.Select(x => x.Outcome))
            .CountBy(x => x, StringComparer.Ordinal)
            .OrderBy(x => x.Key, StringComparer.Ordinal);
        return $"{elapsed.TotalSeconds, 5:F1} s  ended {ends.Count}/{commands.Length}  "
            + ReceiptText.Counts(phases.ToDictionary(x => x.Key, x => (long)x.Value, StringComparer.Ordinal));
    }
}

/// <summary>How awaited requests ended.</summary>
internal static class EndReport
{
    /// <returns>The exit status: 0 only if every one of them is saved.</returns>
    /// <exception cref="FailureException">Some have not ended; told after those that have.</exception>
    public static async Task<int> PrintAsync(CommandKey[] commands, List<ReceiptRow> ends, int seconds, Screen screen)
    {
        if (screen.Json)
        {
            foreach (var receipt in ends)
                await screen.ObjectAsync(receipt);
        }
        else if (ends.Count > 0)
        {
            foreach (var line in ReceiptText.Table(ends))
                await screen.LineAsync(line);
        }

        if (ends.Count < commands.Length)
            throw new FailureException(
                $"{commands.Length - ends.Count} of {commands.Length} requests have not ended within {seconds} s: see generations."
            );
        return ends.TrueForAll(IsSaved) ? Exit.Done : Exit.Failed;
    }

    public static bool IsSaved(ReceiptRow receipt) => receipt.Outcome is Outcomes.Applied or Outcomes.Unchanged;
}
