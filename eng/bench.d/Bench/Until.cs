namespace Pipeline.Bench;

/// <summary>Waits on a fact.</summary>
internal static class Until
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    // Far beyond anything measured here; a run that hangs should say so.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    /// <exception cref="TimeoutException">It did not come true within three minutes.</exception>
    public static async Task TrueAsync(Func<Task<bool>> condition, CancellationToken cancellation)
    {
        var end = DateTime.UtcNow + Limit;
        while (!await condition())
        {
            if (DateTime.UtcNow > end)
                throw new TimeoutException($"What was waited for did not happen within {Limit}.");
            await Task.Delay(LookEvery, cancellation);
        }
    }
}
