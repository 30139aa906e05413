namespace Pipeline.Workers.Generation;

/// <summary>How long the next attempt waits.</summary>
/// <param name="options">First and longest pause.</param>
/// <param name="random">A test gives one whose numbers it knows.</param>
internal sealed class Backoff(GenerationOptions options, Random random)
{
    /// <summary>A provider that asks for more is asked again after this, and may say so again.</summary>
    public static readonly TimeSpan AskedMax = TimeSpan.FromHours(1);

    /// <summary>Exponential with full jitter, so that those who failed together do not come back together.</summary>
    /// <param name="failures">Attempts that have failed since the last new beginning, from 1.</param>
    /// <param name="asked">The provider's own wish; null for none.</param>
    /// <returns>0 to the first pause, doubled with each failure, at most the longest; and no less than was asked for.</returns>
    public TimeSpan Pause(int failures, TimeSpan? asked)
    {
        var ceiling = Math.Min(
            options.BackoffFirst.TotalSeconds * Math.Pow(2, failures - 1),
            options.BackoffLimit.TotalSeconds
        );
        var pause = TimeSpan.FromSeconds(ceiling * random.NextDouble());
        var wish = asked > AskedMax ? AskedMax : asked;
        return wish > pause ? wish.Value : pause;
    }
}
