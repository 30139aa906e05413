namespace Pipeline.Workers.Tests;

/// <summary>Waits for a fact. The limit is a bound for a slow machine, never a sleep.</summary>
internal static class Until
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(20);

    public static async Task TrueAsync(string fact, Func<Task<bool>> holds)
    {
        var deadline = DateTimeOffset.UtcNow + Limit;
        while (!await holds())
        {
            if (DateTimeOffset.UtcNow > deadline)
                throw new TimeoutException($"Not seen within {Limit}: {fact}");
            await Task.Delay(LookEvery);
        }
    }
}
