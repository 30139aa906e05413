using System.Diagnostics;
using Pipeline.Bench;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;

namespace Pipeline.SystemTests.Fire;

/// <summary>
/// Commands are applied by two workers while they are killed, paused and cut off, and the machine's processors are busy
/// with something else. The database is the judge.
/// </summary>
/// <param name="stack">A pipeline without workers, used for this run alone.</param>
/// <param name="plan">What is done to it.</param>
/// <param name="say">Takes a line about each step.</param>
/// <param name="cancellation">Ends the run without a result.</param>
internal sealed class FireRun(Stack stack, FirePlan plan, Action<string> say, CancellationToken cancellation = default)
{
    private static readonly TimeSpan FinishLimit = TimeSpan.FromMinutes(4);

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly FireScript _script = plan.Write();
    private FireWorkers _workers = null!;
    private Task _publishing = Task.CompletedTask;

    public async Task<FireResult> RunAsync()
    {
        Say($"seed {plan.Seed}");
        var lanes = await LaneMap.ReadAsync(stack, _script.Projects, FirePlan.Definition);
        await stack.PlantObjectsAsync([.. _script.Commands.Select(x => x.ObjectKey)]);
        await stack.KeepCommitTimesAsync();

        _workers = new FireWorkers(stack, Say);
        using var busy = BusyProcesses.Start(plan.BusyPerCore);
        await using var publisher = new FirePublisher(stack.NewPublisher(), Say);
        var isFinished = false;
        try
        {
            await WorkAsync(publisher);
            isFinished = true;
        }
        catch (Exception e) when (e is TimeoutException or InvalidOperationException)
        {
            Say($"given up: {e.Message}");
        }

        var result = await JudgeAsync(publisher, lanes, isFinished);
        Say(result.ToString());
        return result;
    }

    private async Task WorkAsync(FirePublisher publisher)
    {
        _workers.Start();
        await UntilAppliedAsync(0);

        var share = plan.Commands / (_script.Acts.Length + 1);
        for (var i = 0; i < _script.Acts.Length; i++)
        {
            var (act, portion) = (_script.Acts[i], new ArraySegment<SaveImage>(_script.Commands, i * share, share));
            await UntilAsync("both workers hold lanes", _workers.HoldLanesAsync);
            // What a paused worker has at hand is behind the times when it wakes up; so is what is sent meanwhile.
            var early = act.Strikes.Contains(Strike.Pause) ? portion[..(share / 2)] : portion;
            _publishing = publisher.PublishAsync(early);
            await UntilAppliedAsync((i * share) + (int)(early.Count * act.After));
            foreach (var strike in act.Strikes)
                await StrikeAsync(strike);
            await _publishing;
            _publishing = publisher.PublishAsync(portion[early.Count..]);
            _workers.Resume();
            await _publishing;
        }

        _publishing = publisher.PublishAsync(
            new ArraySegment<SaveImage>(_script.Commands)[(_script.Acts.Length * share)..]
        );
        await _publishing;
        await UntilAppliedAsync(_script.Commands.Length, FinishLimit);
        Say("all applied");
    }

    private async Task StrikeAsync(Strike strike)
    {
        Say($"{strike} at {await AppliedAsync()} applied");
        switch (strike)
        {
            case Strike.Kill:
                await _workers.KillAsync();
                break;
            case Strike.CloseConnections:
                var closed = 0;
                await UntilAsync(
                    "connections to close",
                    async () => (closed = await stack.CloseConnectionsAsync()) > 0
                );
                Say($"the broker closed {closed} connections");
                break;
            case Strike.EndSessions:
                Say($"{await EndDatabaseSessionsAsync()} database sessions ended");
                break;
            case Strike.Pause:
                _workers.Pause();
                Say($"paused steady for {_script.Pause.TotalSeconds} s");
                var paused = Stopwatch.StartNew();
                await UntilAsync("the pause's end", () => Task.FromResult(paused.Elapsed > _script.Pause));
                Say($"steady wakes up at {await AppliedAsync()} applied");
                break;
            default:
                throw new InvalidOperationException($"No such strike: {strike}.");
        }
    }

    private async Task<FireResult> JudgeAsync(FirePublisher publisher, Dictionary<Guid, int> lanes, bool isFinished)
    {
        await _publishing;
        var checks = await Checks.OfAsync(stack.Database, _script.Projects, publisher.Sent, CancellationToken.None);
        var (commits, end) = (await stack.CommitTimesAsync(), DateTimeOffset.UtcNow.UtcDateTime);
        var gaps = publisher
            .Sent.GroupBy(x => lanes[x.ProjectId])
            .SelectMany(x => CommitTimes.Gaps(x.Key, x, publisher.Queued, commits, end))
            .OrderByDescending(x => x.Length)
            .ToArray();
        foreach (var gap in gaps.Take(3))
            Say($"no commit in lane {gap.Lane} for {gap.Length.TotalSeconds:F2} s, until {gap.To:HH:mm:ss.fff}");

        long deadLetters = 0;
        for (var lane = 0; lane < LaneMap.Lanes; lane++)
            deadLetters += await stack.MessagesAsync(WireNames.ErrorQueue(WireNames.LaneQueue(lane)));
        return new FireResult
        {
            Runs = 1,
            Lost = checks.Lost,
            Duplicates = checks.Duplicates,
            Inversions = checks.Inversions,
            Standstills = gaps.Count(x => x.Length > FireResult.StandstillLimit),
            Unfinished = isFinished ? 0 : 1,
            Exits = _workers.Exits,
            DeadLetters = deadLetters,
            LongestGap = Longest(gaps),
            LongestGapAfterKill = Longest(gaps.Where(x => _workers.Kills.Any(x.Holds))),
            LongestGapAfterPause = Longest(gaps.Where(x => _workers.Pauses.Any(x.Holds))),
        };
    }

    private static TimeSpan Longest(IEnumerable<Gap> gaps) => gaps.Select(x => x.Length).DefaultIfEmpty().Max();

    /// <summary>What a failover of the database does to its clients.</summary>
    private Task<long> EndDatabaseSessionsAsync() =>
        stack.ScalarAsync<long>(
            """
            select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and application_name like 'pipeline-workers%'
            """
        );

    private Task UntilAppliedAsync(int commands, TimeSpan? limit = null) =>
        UntilAsync($"{commands} commands applied", async () => await AppliedAsync() >= commands, limit);

    private Task UntilAsync(string fact, Func<Task<bool>> holds, TimeSpan? limit = null) =>
        stack.UntilAsync(
            fact,
            () =>
            {
                cancellation.ThrowIfCancellationRequested();
                _workers.Supervise();
                return holds();
            },
            limit
        );

    private async Task<long> AppliedAsync() =>
        await stack.ScalarAsync<long>("select count(*) from pipeline.receipts") - _script.Projects.Length;

    private void Say(string text) => say($"{_clock.Elapsed.TotalSeconds, 6:F1} s {text}");
}
