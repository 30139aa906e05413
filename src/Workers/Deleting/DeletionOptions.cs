namespace Pipeline.Workers.Deleting;

/// <summary>Settings of purging and invalidating; section <c>Deleting</c>.</summary>
internal sealed class DeletionOptions
{
    public const string Section = "Deleting";

    /// <value>1 to 50; default 8. Counted tries of a step that store or CDN refuse.</value>
    public int AttemptLimit { get; init; } = 8;

    /// <value>Default 1 day: how long a store or CDN that does not answer is waited for.</value>
    public TimeSpan OutageLimit { get; init; } = TimeSpan.FromDays(1);

    /// <value>Default 2 s: the pause after the first failure is up to this, after the next up to twice that, and so on.</value>
    public TimeSpan BackoffFirst { get; init; } = TimeSpan.FromSeconds(2);

    /// <value>Default 5 min: the longest pause between two tries.</value>
    public TimeSpan BackoffLimit { get; init; } = TimeSpan.FromMinutes(5);

    /// <value>Default 30 min: a step that nothing has been heard of for so long is sent again. Steps are safe to repeat.</value>
    public TimeSpan StaleAfter { get; init; } = TimeSpan.FromMinutes(30);

    /// <value>Default 500 ms: how often due deletions are looked for.</value>
    public TimeSpan SweepEvery { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <value>1 to 64; default 4. Steps at once in this process.</value>
    public int ConcurrentSteps { get; init; } = 4;

    /// <value>1 to 1,000; default 1,000, S3's own limit. Objects in one request.</value>
    public int BatchSize { get; init; } = 1_000;

    /// <exception cref="InvalidOperationException">A value is out of its range; the process must not start.</exception>
    public void Validate()
    {
        if (AttemptLimit is < 1 or > 50)
            throw new InvalidOperationException($"{Section}__AttemptLimit must be 1 to 50.");
        if (BackoffFirst <= TimeSpan.Zero || BackoffLimit < BackoffFirst)
            throw new InvalidOperationException($"{Section}__BackoffLimit must be at least BackoffFirst, above zero.");
        if (OutageLimit <= TimeSpan.Zero || StaleAfter <= TimeSpan.Zero || SweepEvery <= TimeSpan.Zero)
            throw new InvalidOperationException($"{Section}__OutageLimit, StaleAfter and SweepEvery must be positive.");
        if (ConcurrentSteps is < 1 or > 64)
            throw new InvalidOperationException($"{Section}__ConcurrentSteps must be 1 to 64.");
        if (BatchSize is < 1 or > 1_000)
            throw new InvalidOperationException($"{Section}__BatchSize must be 1 to 1,000.");
    }
}
