using System.Text.Json.Nodes;

namespace Pipeline.SystemTests.Fire;

/// <summary>What became of the commands of one run, or of several; docs/reliability.md says what each number means.</summary>
internal sealed record FireResult
{
    /// <summary>Commands were waiting in a lane, and nothing was committed there for longer than this.</summary>
    public static readonly TimeSpan StandstillLimit = TimeSpan.FromSeconds(30);

    public int Runs { get; init; }

    public long Lost { get; init; }

    public long Duplicates { get; init; }

    public long Inversions { get; init; }

    public int Standstills { get; init; }

    /// <summary>Runs that did not come to their end: something was waited for in vain.</summary>
    public int Unfinished { get; init; }

    /// <summary>Worker processes that ended without being killed.</summary>
    public int Exits { get; init; }

    public long DeadLetters { get; init; }

    public TimeSpan LongestGap { get; init; }

    public TimeSpan LongestGapAfterKill { get; init; }

    public TimeSpan LongestGapAfterPause { get; init; }

    public bool IsClean =>
        this is { Lost: 0, Duplicates: 0, Inversions: 0, Standstills: 0, Unfinished: 0, Exits: 0, DeadLetters: 0 };

    public static FireResult operator +(FireResult a, FireResult b) =>
        new()
        {
            Runs = a.Runs + b.Runs,
            Lost = a.Lost + b.Lost,
            Duplicates = a.Duplicates + b.Duplicates,
            Inversions = a.Inversions + b.Inversions,
            Standstills = a.Standstills + b.Standstills,
            Unfinished = a.Unfinished + b.Unfinished,
            Exits = a.Exits + b.Exits,
            DeadLetters = a.DeadLetters + b.DeadLetters,
            LongestGap = Longer(a.LongestGap, b.LongestGap),
            LongestGapAfterKill = Longer(a.LongestGapAfterKill, b.LongestGapAfterKill),
            LongestGapAfterPause = Longer(a.LongestGapAfterPause, b.LongestGapAfterPause),
        };

    public JsonObject ToJson() =>
        new()
        {
            ["runs"] = Runs,
            ["lost"] = Lost,
            ["duplicates"] = Duplicates,
            ["inversions"] = Inversions,
            ["standstills"] = Standstills,
            ["unfinished"] = Unfinished,
            ["exits"] = Exits,
            ["dead_letters"] = DeadLetters,
            ["longest_gap_s"] = Math.Round(LongestGap.TotalSeconds, 2),
            ["longest_gap_after_kill_s"] = Math.Round(LongestGapAfterKill.TotalSeconds, 2),
            ["longest_gap_after_pause_s"] = Math.Round(LongestGapAfterPause.TotalSeconds, 2),
        };

    public override string ToString() => ToJson().ToJsonString();

    private static TimeSpan Longer(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
