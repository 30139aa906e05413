namespace Pipeline.SystemTests.Harness;

/// <summary>Messages over all queues of a pipeline.</summary>
internal static class QueueCounts
{
    /// <summary>Those that lie in the dead letters of any queue.</summary>
    public static Task<long> DeadLetterCountAsync(this Stack stack) => SumAsync(stack, IsDeadLetters);

    /// <summary>Those that no worker has answered.</summary>
    public static Task<long> WaitingAsync(this Stack stack) =>
        SumAsync(stack, x => !IsDeadLetters(x) && !x.StartsWith("listener", StringComparison.Ordinal));

    private static bool IsDeadLetters(string queue) =>
        queue.EndsWith("_error", StringComparison.Ordinal) || queue.EndsWith("_skipped", StringComparison.Ordinal);

    private static async Task<long> SumAsync(Stack stack, Func<string, bool> counts)
    {
        var sum = 0L;
        foreach (var queue in (await stack.NamesAsync("queues")).Where(counts))
            sum += await stack.MessagesAsync(queue);
        return sum;
    }
}
