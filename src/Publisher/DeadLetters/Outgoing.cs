using Pipeline.Contracts.DeadLetters;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Where a dead letter goes, and with which headers.</summary>
internal static class Outgoing
{
    /// <summary>
    /// Back into the queue in which it failed and into no other: without what the failure added, under its own id, with
    /// one replay more. Its sender is from now on the publisher: a dead letter does not name who sent it first.
    /// </summary>
    public static WireMessage Replay(DeadLetter letter, Guid run)
    {
        var properties = Copy(letter, x => !Headers.IsOfTheFailure(x));
        properties.Headers![Headers.ReplayCount] = letter.Replays + 1;
        properties.Headers[Headers.ReplayRun] = run.ToString();
        // Plain JSON that came without a type was known by its exchange, which is another one now.
        if (letter.Type is { } type && !letter.IsEnvelope)
            properties.Type = type;
        return To(WireNames.ExchangeTo(QueueNames.OriginOf(letter.Queue)), letter, properties) with { IsReplay = true };
    }

    /// <summary>Into the parking queue, with everything that it has.</summary>
    public static WireMessage Park(DeadLetter letter) =>
        To(WireNames.ParkedQueue(QueueNames.OriginOf(letter.Queue)), letter, Copy(letter, _ => true)) with
        {
            NamesSender = false,
        };

    /// <summary>The corrected command under its new id, to the queue in which the first one failed.</summary>
    public static WireMessage Edited(DeadLetter letter, Guid successor, string routingKey, byte[] body)
    {
        // A CloudEvent's attributes are those of the old command.
        var properties = Copy(
            letter,
            x =>
                !Headers.IsOfTheFailure(x)
                && x is not (Headers.ReplayCount or Headers.ReplayRun)
                && !CloudEvents.Prefixes.Any(y => x.StartsWith(y, StringComparison.Ordinal))
        );
        properties.Headers![Headers.EditedFrom] = letter.CommandId.ToString();
        properties.MessageId = successor.ToString();
        properties.Type = letter.Type;
        properties.ContentType = WireJson.ContentType;
        var exchange = WireNames.ExchangeTo(QueueNames.OriginOf(letter.Queue));
        return new(exchange, routingKey, successor, body, Mandatory: true) { Properties = properties, IsReplay = true };
    }

    private static WireMessage To(string exchange, DeadLetter letter, BasicProperties properties) =>
        new(exchange, letter.RoutingKey, letter.CommandId ?? Guid.Empty, letter.Body, Mandatory: true)
        {
            Properties = properties,
        };

    private static BasicProperties Copy(DeadLetter letter, Func<string, bool> keep)
    {
        var properties = new BasicProperties(letter.Properties)
        {
            Headers = Headers.Of(letter.Properties).Where(x => keep(x.Key)).ToDictionary(StringComparer.Ordinal),
            Persistent = true,
        };
        // A worker has noted the sender. What the broker itself has moved, as it came, names it by the property alone.
        var isAsItCame =
            letter is { Replays: 0 }
            && Headers.Text(letter.Properties, Headers.Reason) is null
            && letter.Queue != WireNames.ParkedQueue(QueueNames.OriginOf(letter.Queue));
        if (isAsItCame)
        {
            properties.Headers.Remove(WireNames.SenderHeader);
            if (letter.Properties.UserId is { } sender)
                properties.Headers[WireNames.SenderHeader] = sender;
        }

        // A message that the broker itself has moved still has its sender's, which it takes from no other login. And
        // one that has waited for a person must not expire on its way.
        properties.ClearUserId();
        properties.ClearExpiration();
        return properties;
    }
}

/// <summary>What a run does about each letter.</summary>
/// <param name="Name">One of <see cref="DeadLetterActions"/>.</param>
/// <param name="Send">The message that takes the letter's place; null where none does.</param>
internal sealed record LetterAction(string Name, Func<DeadLetter, Guid, WireMessage?> Send)
{
    public static readonly LetterAction Replay = new(DeadLetterActions.Replay, Outgoing.Replay);

    public static readonly LetterAction Park = new(DeadLetterActions.Park, (x, _) => Outgoing.Park(x));

    public static readonly LetterAction Discard = new(DeadLetterActions.Discard, (_, _) => null);
}
