using Npgsql;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Generating;

/// <summary>Waits until every picture of a storyboard has its end.</summary>
internal sealed class StoryboardWait(StatusDatabase database, Screen screen, TimeProvider clock)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(250);

    private readonly GenerationReads _reads = new(database);
    private readonly ReceiptReads _receipts = new(database);
    private readonly ProgressLine _progress = new(screen, clock);

    /// <returns>The exit status: 0 only if all pictures are saved.</returns>
    /// <exception cref="FailureException">The command was refused, or the time is over.</exception>
    public async Task<int> EndAsync(CommandKey command, TimeSpan limit, CancellationToken cancellation)
    {
        var started = clock.GetTimestamp();
        var text = "";
        try
        {
            while (true)
            {
                var elapsed = clock.GetElapsedTime(started);
                try
                {
                    if (await _receipts.FindAsync(command, cancellation) is { } receipt && !EndReport.IsSaved(receipt))
                        throw new FailureException($"generate-storyboard was {receipt.Outcome}: {receipt.Reason}");
                    var storyboard = await _reads.StoryboardAsync(command, cancellation);
                    text = storyboard is null
                        ? $"{elapsed.TotalSeconds, 5:F1} s  queued"
                        : $"{elapsed.TotalSeconds, 5:F1} s  {StoryboardText.Line(storyboard)}";
                    if (storyboard is { CompletedAt: not null })
                    {
                        await StoryboardText.PrintAsync([storyboard], screen);
                        return storyboard.Saved == storyboard.Requested ? Exit.Done : Exit.Failed;
                    }
                }
                catch (NpgsqlException e) when (e.IsTransient)
                {
                    text = DatabaseFailures.Describe(e); // Away for a moment: the limit ends the wait.
                }

                if (elapsed >= limit)
                    throw new FailureException(
                        $"The storyboard has not ended within {limit.TotalSeconds} s: see generations."
                    );
                await _progress.ShowAsync(text);
                await Task.Delay(PollInterval, clock, cancellation);
            }
        }
        finally
        {
            await _progress.EndAsync(text);
        }
    }
}

/// <summary>Storyboards as text.</summary>
internal static class StoryboardText
{
    public static string Line(StoryboardRow storyboard) =>
        $"saved {storyboard.Saved}/{storyboard.Requested}  missing: {Missing(storyboard)}";

    public static async Task PrintAsync(IReadOnlyList<StoryboardRow> storyboards, Screen screen)
    {
        if (screen.Json)
        {
            foreach (var storyboard in storyboards)
                await screen.ObjectAsync(storyboard);
            return;
        }

        var table = new TextTable("at", "storyboard", "saved", "ended", "missing scenes");
        foreach (var x in storyboards)
            table.Add(x.CreatedAt, x.CommandId, $"{x.Saved}/{x.Requested}", x.CompletedAt, Missing(x));
        foreach (var line in table.Lines())
            await screen.LineAsync(line);
    }

    private static string Missing(StoryboardRow storyboard) =>
        storyboard.MissingScenes.Count == 0 ? "none" : string.Join(", ", storyboard.MissingScenes);
}
