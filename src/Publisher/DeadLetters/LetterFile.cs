using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>
/// A dead letter as a line of JSON: <c>queue</c>, <c>routingKey</c>, <c>properties</c>, <c>headers</c>, and the body as
/// <c>body</c> where it is text, otherwise as <c>bodyBase64</c>. What is read is what was written.
/// </summary>
internal static class LetterFile
{
    private static readonly UTF8Encoding Strict = new(
        encoderShouldEmitUTF8Identifier: false,
        throwOnInvalidBytes: true
    );

    public static string Write(DeadLetter letter)
    {
        var p = letter.Properties;
        var json = new JsonObject
        {
            ["queue"] = letter.Queue,
            ["routingKey"] = letter.RoutingKey,
            ["properties"] = JsonSerializer.SerializeToNode(
                new LetterProperties(
                    p.MessageId,
                    p.Type,
                    p.ContentType,
                    p.ContentEncoding,
                    p.CorrelationId,
                    p.ReplyTo,
                    p.AppId,
                    p.IsTimestampPresent() ? p.Timestamp.UnixTime : null,
                    p.IsPriorityPresent() ? p.Priority : null
                ),
                WireJson.Options
            ),
            // Of the delivery that was looked at, and no part of the message.
            ["headers"] = HeaderJson.Write(Headers.Of(p).Where(x => x.Key != "x-delivery-count")),
        };
        if (TextOf(letter.Body) is { } text)
            json["body"] = text;
        else
            json["bodyBase64"] = Convert.ToBase64String(letter.Body.Span);
        return json.ToJsonString(WireJson.Options);
    }

    /// <returns>The message for the parking queue beside the queue that the line names.</returns>
    /// <exception cref="UsageException">The line is no dead letter.</exception>
    public static WireMessage Read(string line, int number)
    {
        try
        {
            var json = JsonNode.Parse(line) as JsonObject ?? throw new JsonException("is no object.");
            var queue = json["queue"]?.GetValue<string>() ?? throw new JsonException("has no queue.");
            var parked = WireNames.ParkedQueue(QueueNames.OriginOf(queue));
            var given =
                json["properties"]?.Deserialize<LetterProperties>(WireJson.Options)
                ?? throw new JsonException("has no properties.");
            var body = json["bodyBase64"] is { } bytes
                ? Convert.FromBase64String(bytes.GetValue<string>())
                : Encoding.UTF8.GetBytes(json["body"]?.GetValue<string>() ?? throw new JsonException("has no body."));
            var properties = given.ToAmqp();
            properties.Headers = HeaderJson.Read(json["headers"] as JsonObject ?? []);
            var routingKey = json["routingKey"]?.GetValue<string>() ?? "";
            return new WireMessage(parked, routingKey, Guid.Empty, body, Mandatory: true)
            {
                Properties = properties,
                NamesSender = false,
            };
        }
        catch (JsonException e)
        {
            throw new UsageException($"Line {number} is no dead letter: {JsonErrors.Describe(e)}");
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException)
        {
            throw new UsageException($"Line {number} is no dead letter: {e.Message}");
        }
    }

    private static string? TextOf(ReadOnlyMemory<byte> body)
    {
        try
        {
            return Strict.GetString(body.Span);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }
}

/// <summary>The AMQP properties that a file keeps: all but <c>user_id</c>, <c>expiration</c> and the delivery mode.</summary>
/// <param name="Timestamp">Seconds since 1970.</param>
internal sealed record LetterProperties(
    string? MessageId,
    string? Type,
    string? ContentType,
    string? ContentEncoding,
    string? CorrelationId,
    string? ReplyTo,
    string? AppId,
    long? Timestamp,
    byte? Priority
)
{
    public BasicProperties ToAmqp()
    {
        var properties = new BasicProperties
        {
            MessageId = MessageId,
            Type = Type,
            ContentType = ContentType,
            ContentEncoding = ContentEncoding,
            CorrelationId = CorrelationId,
            ReplyTo = ReplyTo,
            AppId = AppId,
            Persistent = true,
        };
        if (Timestamp is { } at)
            properties.Timestamp = new AmqpTimestamp(at);
        if (Priority is { } priority)
            properties.Priority = priority;
        return properties;
    }
}
