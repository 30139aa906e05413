using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Dead-letter queues, and where their messages came from.</summary>
internal static class QueueNames
{
    // Both are the names that MassTransit and WireNames give them; the empty origin leaves the ending.
    private static readonly string[] Endings = WireNames.DeadLetterQueues("");

    /// <summary>The queue in which the messages of a dead-letter queue failed: <c>import-image_error</c> → <c>import-image</c>.</summary>
    public static string OriginOf(string queue) =>
        Endings.FirstOrDefault(x => queue.EndsWith(x, StringComparison.Ordinal)) is { } ending
            ? queue[..^ending.Length]
            : throw new UsageException(
                $"'{queue}' is no dead-letter queue: its name ends on none of {string.Join(", ", Endings)}."
            );

    /// <summary>The queue for people's eyes: all lanes are one.</summary>
    public static string Family(string queue)
    {
        var origin = OriginOf(queue);
        return WireNames.ExchangeTo(origin) == WireNames.LanesExchange
            ? $"{WireNames.LanePrefix}*{queue[origin.Length..]}"
            : queue;
    }

    /// <summary>Every dead-letter queue of this pipeline, as the workers have declared them.</summary>
    /// <param name="database">Holds the list.</param>
    /// <param name="only">A queue, or the queue that it belongs to; null for all.</param>
    /// <param name="withParked">Whether messages that people put aside count.</param>
    /// <param name="cancellation">Ends the query.</param>
    /// <exception cref="UsageException">There is no such queue.</exception>
    public static async Task<string[]> ListAsync(
        StatusDatabase database,
        string? only,
        bool withParked,
        CancellationToken cancellation
    )
    {
        var origins = await database.ReadAsync(
            "select name from status.queues order by name",
            x => x.GetString(0),
            cancellation
        );
        var all = origins.SelectMany(WireNames.DeadLetterQueues).ToArray();
        var chosen = only is null ? all : [.. all.Where(x => x == only || OriginOf(x) == only)];
        if (chosen.Length == 0 && only is not null)
            throw new UsageException($"There is no queue '{only}'. The queues: {string.Join(", ", origins)}.");
        return withParked || chosen is [var one] && one == only
            ? chosen
            : [.. chosen.Where(x => x != WireNames.ParkedQueue(OriginOf(x)))];
    }
}
