using System.Collections.Concurrent;
using System.Text.Json;

namespace Pipeline.Wire;

/// <summary>How types and ids are called on the wire. These names are the contract with services in any language.</summary>
public static class WireNames
{
    /// <summary>The consistent-hash exchange behind every lane command's own exchange.</summary>
    public const string LanesExchange = "project-lanes";

    /// <summary>
    /// Header of a dead letter: the exchange through which it came, which may be all that tells which message it is.
    /// </summary>
    public const string ExchangeHeader = "x-exchange";

    /// <summary>
    /// Header of a dead letter and of its replay: the broker's user who sent the message, where it said so. It counts
    /// only in a message whose <c>user_id</c> is a login of workers or publisher.
    /// </summary>
    public const string SenderHeader = "x-sender";

    /// <summary>What the names of the lanes' queues begin with; two digits or more follow.</summary>
    public const string LanePrefix = "project-lane-";

    private static readonly ConcurrentDictionary<Type, string> Exchanges = new();

    /// <summary>The exchange of a message type, which is also its AMQP <c>type</c>: <c>SaveImage</c> → <c>save-image</c>.</summary>
    public static string ExchangeOf(Type message) =>
        Exchanges.GetOrAdd(message, type => JsonNamingPolicy.KebabCaseLower.ConvertName(type.Name));

    /// <inheritdoc cref="ExchangeOf(Type)"/>
    public static string ExchangeOf<T>() => ExchangeOf(typeof(T));

    /// <summary>The routing key of a project's commands and events: lower-case hexadecimal with hyphens.</summary>
    public static string RoutingKeyOf(Guid projectId) => projectId.ToString("D");

    /// <summary>The queue of a lane, two digits or more: <c>project-lane-07</c>.</summary>
    /// <param name="lane">From 0 to the lane count less one.</param>
    public static string LaneQueue(int lane) => $"{LanePrefix}{lane:D2}";

    /// <summary>
    /// The exchange that leads to a queue and to no other. A lane is reached through the hash of the routing key, which
    /// is the project's id, so a message stays in its project's lane also where the number of lanes has changed.
    /// </summary>
    public static string ExchangeTo(string queue) =>
        queue.StartsWith(LanePrefix, StringComparison.Ordinal) && queue[LanePrefix.Length..].All(char.IsAsciiDigit)
            ? LanesExchange
            : queue;

    /// <summary>MassTransit's name for a queue's dead letters.</summary>
    public static string ErrorQueue(string queue) => queue + "_error";

    /// <summary>MassTransit's name for a queue's messages that no consumer wanted.</summary>
    public static string SkippedQueue(string queue) => queue + "_skipped";

    /// <summary>Where people put a queue's dead letters aside.</summary>
    public static string ParkedQueue(string queue) => queue + "_parked";

    /// <summary>
    /// An exclusive queue of the connection that looks through a dead-letter queue: two at once would give its messages
    /// back in disorder.
    /// </summary>
    public static string DeadLetterLock(string queue) => $"dead-letter-desk.{queue}";

    /// <summary>The three queues beside a queue that hold its dead letters.</summary>
    public static string[] DeadLetterQueues(string queue) =>
        [ErrorQueue(queue), SkippedQueue(queue), ParkedQueue(queue)];
}
