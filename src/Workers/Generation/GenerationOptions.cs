namespace Pipeline.Workers.Generation;

/// <summary>Whose requests for the same image share one rendering.</summary>
internal enum RenderingScope
{
    /// <summary>Those of all projects.</summary>
    AllProjects,

    /// <summary>Those of one project: no project has an image that was rendered for another.</summary>
    Project,
}

/// <summary>Settings of generation; section <c>Generation</c>.</summary>
internal sealed class GenerationOptions
{
    public const string Section = "Generation";

    /// <value>1 to 20; default 5. A postponement by the provider's gate is no attempt.</value>
    public int AttemptLimit { get; init; } = 5;

    /// <value>Default 2 s: the pause after the first failure is up to this, after the next up to twice that, and so on.</value>
    public TimeSpan BackoffFirst { get; init; } = TimeSpan.FromSeconds(2);

    /// <value>Default 5 min: the longest pause before an attempt, unless the provider asks for more.</value>
    public TimeSpan BackoffLimit { get; init; } = TimeSpan.FromMinutes(5);

    /// <value>Default all projects. The same in every worker: it is part of what makes two requests the same.</value>
    public RenderingScope ShareRenderings { get; init; } = RenderingScope.AllProjects;

    /// <value>Default 30 min: an open request that nothing has touched for so long is dispatched again.</value>
    public TimeSpan StaleAfter { get; init; } = TimeSpan.FromMinutes(30);

    /// <value>Default 500 ms: how often due attempts, lost leases, deadlines and saved pictures are looked for.</value>
    public TimeSpan SweepEvery { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <exception cref="InvalidOperationException">A value is out of its range; the process must not start.</exception>
    public void Validate()
    {
        if (AttemptLimit is < 1 or > 20)
            throw new InvalidOperationException($"{Section}__AttemptLimit must be 1 to 20.");
        if (BackoffFirst <= TimeSpan.Zero || BackoffLimit < BackoffFirst)
            throw new InvalidOperationException($"{Section}__BackoffLimit must be at least BackoffFirst, above zero.");
        if (!Enum.IsDefined(ShareRenderings))
            throw new InvalidOperationException($"{Section}__ShareRenderings must be AllProjects or Project.");
        if (StaleAfter <= TimeSpan.Zero || SweepEvery <= TimeSpan.Zero)
            throw new InvalidOperationException($"{Section}__StaleAfter and SweepEvery must be positive.");
    }
}
