using System.Collections;
using System.Text;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using RabbitMQ.Client;

namespace Pipeline.Workers.Commands;

/// <summary>What the broker says of a message that it has moved to the dead letters.</summary>
/// <param name="Original">The message as it lay in its queue.</param>
/// <param name="Reason">Why, for people.</param>
/// <param name="At">When, by the broker's clock, in whole seconds.</param>
internal sealed record BrokerDeath(Delivery Original, string Reason, DateTimeOffset At)
{
    /// <summary>Set by the broker; its first entry is the newest (RabbitMQ, "Dead Letter Exchanges").</summary>
    private const string Header = "x-death";

    /// <summary>Reads the copy of a dead letter.</summary>
    /// <returns>
    /// Null for one that a worker or a person has put there, which has its receipt: its newest death, if it has any, is
    /// not the one in the queue whose dead letters it came through.
    /// </returns>
    public static BrokerDeath? Of(Delivery copy)
    {
        if (
            copy.Properties.Headers is not { } headers
            || !headers.TryGetValue(Header, out var list)
            || list is not IList { Count: > 0 } deaths
            || deaths[0] is not IDictionary<string, object?> newest
            || TextIn(newest, "queue") is not { } queue
            || WireNames.ErrorQueue(queue) != copy.Exchange
        )
            return null;
        var keys =
            newest.TryGetValue("routing-keys", out var keyList) && keyList is IList { Count: > 0 } all ? all[0] : null;
        var original = copy with
        {
            Queue = queue,
            Exchange = TextIn(newest, "exchange") ?? "",
            RoutingKey = TextOf(keys) ?? copy.RoutingKey,
        };
        var at = newest.TryGetValue("time", out var time) && time is AmqpTimestamp seconds ? seconds.UnixTime : 0;
        return new BrokerDeath(original, Describe(TextIn(newest, "reason")), DateTimeOffset.FromUnixTimeSeconds(at));
    }

    private static string Describe(string? reason) =>
        reason switch
        {
            "expired" => "The message expired before a worker took it: its sender or a policy had set a time limit.",
            "delivery_limit" =>
                "The message was delivered as often as its queue allows, and no worker ever answered: it may end them.",
            "maxlen" => "The message was dropped from a queue that had grown longer than a policy allows.",
            "rejected" => "The message was taken out of its queue and rejected by something that is no worker.",
            _ => $"The broker has moved the message to the dead letters: {reason ?? "it says not why"}.",
        };

    private static string? TextIn(IDictionary<string, object?> table, string name) =>
        table.TryGetValue(name, out var value) ? TextOf(value) : null;

    private static string? TextOf(object? value) =>
        value switch
        {
            byte[] bytes => Encoding.UTF8.GetString(bytes),
            string text => text,
            _ => null,
        };
}
