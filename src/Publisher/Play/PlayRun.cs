using Npgsql;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Play;

/// <summary>Sends a plan, and watches the status views until it has come true.</summary>
internal sealed class PlayRun(
    PlayPlan plan,
    DefineScenes define,
    IPlaySource source,
    StatusDatabase database,
    Uri broker,
    Screen screen,
    TimeProvider clock
)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(250);

    // A receipt is committed with what it tells of, so this only lasts as long as one poll; a bound all the same.
    private static readonly TimeSpan ReceiptGrace = TimeSpan.FromSeconds(10);

    private readonly ProgressLine _progress = new(screen, clock);

    /// <summary>Ends when every picture is shown, nothing more can come, or the time is over.</summary>
    public async Task<PlayResult> RunAsync(TimeSpan timeout, CancellationToken cancellation)
    {
        var started = clock.GetTimestamp();
        await using (var sender = new CommandSender(broker, "publisher play", clock))
            await sender.SendAsync(WireMessage.Command(define), cancellation);

        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var asking = source.RunAsync(stopping.Token);
        try
        {
            var seconds = await WatchAsync(asking, started, timeout, cancellation);
            return await PlayResult.ReadAsync(plan, database, seconds, cancellation);
        }
        finally
        {
            await stopping.CancelAsync();
            await asking.ContinueWith(
                _ => { },
                CancellationToken.None,
                TaskContinuationOptions.None,
                TaskScheduler.Default
            );
        }
    }

    private async Task<double> WatchAsync(Task asking, long started, TimeSpan timeout, CancellationToken cancellation)
    {
        var result = await PlayResult.ReadAsync(plan, database, 0, cancellation);
        double? completeAt = null;
        try
        {
            while (true)
            {
                if (asking.IsCompleted)
                    await asking; // A failure ends the play, with its own words.

                var elapsed = clock.GetElapsedTime(started);
                result = await ReadAsync(result, cancellation);
                if (completeAt is null && asking.IsCompleted && HasAllFiles(result))
                    completeAt = elapsed.TotalSeconds;
                var isOver =
                    elapsed >= timeout
                    || (completeAt is { } at && elapsed.TotalSeconds - at > ReceiptGrace.TotalSeconds)
                    || (asking.IsCompleted && await IsSettledAsync(completeAt is not null, cancellation));
                if (isOver)
                {
                    result = await ReadAsync(result, cancellation); // What came while the last question was asked.
                    return completeAt ?? elapsed.TotalSeconds;
                }

                await _progress.ShowAsync(Text(result, elapsed));
                await Task.Delay(PollInterval, clock, cancellation);
            }
        }
        finally
        {
            await _progress.EndAsync(Text(result, clock.GetElapsedTime(started)));
        }
    }

    /// <summary>A database that is away for a moment ends no play; the time-out does.</summary>
    private async Task<PlayResult> ReadAsync(PlayResult last, CancellationToken cancellation)
    {
        try
        {
            return await PlayResult.ReadAsync(plan, database, 0, cancellation);
        }
        catch (NpgsqlException e) when (e.IsTransient)
        {
            await _progress.ShowAsync(DatabaseFailures.Describe(e));
            return last;
        }
    }

    private bool HasAllFiles(PlayResult result) =>
        plan.Scenes.All(x => PlayResult.Shown(result.Rows, x.Id) >= x.Pictures);

    private async Task<bool> IsSettledAsync(bool isComplete, CancellationToken cancellation)
    {
        try
        {
            return await source.IsSettledAsync(isComplete, cancellation);
        }
        catch (NpgsqlException e) when (e.IsTransient)
        {
            return false;
        }
    }

    private string Text(PlayResult result, TimeSpan elapsed)
    {
        var complete = plan.Scenes.Count(x => PlayResult.Shown(result.Rows, x.Id) >= x.Wanted);
        return $"{elapsed.TotalSeconds, 5:F1} s  scenes complete {complete}/{plan.Scenes.Count}  images shown {result.Images}/{plan.Total}  "
            + $"{source.Progress}  receipts: {ReceiptText.Counts(result.Receipts)}";
    }
}
