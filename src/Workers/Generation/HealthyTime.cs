namespace Pipeline.Workers.Generation;

/// <summary>
/// How long the sweeps of this process have gone on without an error or a gap. After an outage of the database every
/// lease has lapsed, although its worker lives: it is given the length of its lease to renew it.
/// </summary>
/// <param name="clock">Measures it.</param>
/// <param name="gapLimit">Longer than from one sweep to the next.</param>
internal sealed class HealthyTime(TimeProvider clock, TimeSpan gapLimit)
{
    private long? _since;
    private long _seenAt;

    /// <summary>True where the statement that is under way was not held up.</summary>
    public bool IsUnbroken => _since is not null && clock.GetElapsedTime(_seenAt) <= gapLimit;

    /// <summary>The database was seen to work.</summary>
    /// <returns>Since when it has, without a gap.</returns>
    public TimeSpan Seen()
    {
        var now = clock.GetTimestamp();
        if (!IsUnbroken)
            _since = now;
        _seenAt = now;
        return clock.GetElapsedTime(_since!.Value, now);
    }

    /// <summary>A sweep has failed.</summary>
    public void Broken() => _since = null;
}
