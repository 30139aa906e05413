using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Pipeline.Publisher.Publishing;
using RabbitMQ.Client;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>A message as it lies in a dead-letter queue.</summary>
/// <param name="Queue">The queue that it lies in, such as <c>project-lane-03_error</c>.</param>
/// <param name="RoutingKey">The original one.</param>
/// <param name="Properties">AMQP properties and headers, those of the failure included.</param>
/// <param name="Body">As it was sent.</param>
/// <param name="Tag">The delivery's, for the acknowledgement.</param>
internal sealed partial record DeadLetter(
    string Queue,
    string RoutingKey,
    IReadOnlyBasicProperties Properties,
    ReadOnlyMemory<byte> Body,
    ulong Tag
)
{
    private const int CauseLength = 100;

    private const string EnvelopeType = "application/vnd.masstransit+json";

    public string? MessageId => string.IsNullOrEmpty(Properties.MessageId) ? null : Properties.MessageId;

    public Guid? CommandId => Guid.TryParse(MessageId, out var id) ? id : null;

    /// <summary>The message's type, such as <c>save-image</c>; null where nothing tells.</summary>
    public string? Type { get; } = TypeOf(Properties, Body);

    public Guid? ProjectId { get; } = Guid.TryParse(RoutingKey, out var key) ? key : ProjectOf(Body);

    /// <summary>The exception's type without its namespace; for the broker's own, such as <c>delivery_limit</c>.</summary>
    /// <remarks>A lane's failure is told by the exception that its reason begins with.</remarks>
    public string Exception { get; } = ExceptionOf(Properties);

    /// <summary>What the exception says, in full.</summary>
    public string? Reason =>
        Headers.Text(Properties, Headers.FaultMessage)
        ?? Headers.TextOf(Headers.NewestDeath(Properties)?.TryGetValue("reason", out var value) == true ? value : null)
        ?? Headers.Text(Properties, "MT-Reason");

    /// <summary>The first line of the reason without what differs from message to message: failures of one kind share it.</summary>
    public string Cause => CauseOf(Exception, Reason);

    /// <summary>When it failed, UTC; null where nothing tells.</summary>
    public DateTimeOffset? FailedAt { get; } = FailedAtOf(Properties);

    /// <summary>How often a person has replayed it before.</summary>
    public int Replays => Headers.Number(Properties, Headers.ReplayCount);

    /// <summary>The replay that sent it last; null where none did.</summary>
    public string? ReplayRun => Headers.Text(Properties, Headers.ReplayRun);

    public bool IsEnvelope =>
        Properties.ContentType?.StartsWith(EnvelopeType, StringComparison.OrdinalIgnoreCase) == true;

    private static string? TypeOf(IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> body)
    {
        if (!string.IsNullOrEmpty(properties.Type))
            return properties.Type;
        var urn =
            Headers.Text(properties, "MT-MessageType")
            ?? Headers.Text(properties, Headers.FaultMessageType)
            ?? (
                Json(body) is { ValueKind: JsonValueKind.Object } json
                && json.TryGetProperty("messageType", out var types)
                && types is { ValueKind: JsonValueKind.Array }
                    ? types.EnumerateArray().Select(x => x.ToString()).FirstOrDefault()
                    : null
            );
        if (urn is not null)
            return JsonNamingPolicy.KebabCaseLower.ConvertName(urn[(urn.LastIndexOfAny(['.', ':', '+']) + 1)..]);
        var exchange = Headers.TextOf(
            Headers.NewestDeath(properties)?.TryGetValue("exchange", out var value) == true ? value : null
        );
        return string.IsNullOrEmpty(exchange) ? null : exchange;
    }

    private static Guid? ProjectOf(ReadOnlyMemory<byte> body) =>
        Json(body) is { ValueKind: JsonValueKind.Object } json
        && json.TryGetProperty("projectId", out var id)
        && id.ValueKind == JsonValueKind.String
        && id.TryGetGuid(out var project)
            ? project
            : null;

    private static string ExceptionOf(IReadOnlyBasicProperties properties)
    {
        if (NamedException().Match(Headers.Text(properties, Headers.FaultMessage) ?? "") is { Success: true } named)
            return named.Groups["name"].Value;
        if (Headers.Text(properties, Headers.ExceptionType) is { } type)
            return type[(type.LastIndexOfAny(['.', '+']) + 1)..];
        return Headers.NewestDeath(properties)?.TryGetValue("reason", out var reason) == true
                ? Headers.TextOf(reason) ?? "unknown"
            : Headers.Text(properties, "MT-Reason") is { } skipped ? skipped
            : "unknown";
    }

    private static DateTimeOffset? FailedAtOf(IReadOnlyBasicProperties properties)
    {
        if (
            DateTimeOffset.TryParse(
                Headers.Text(properties, Headers.FaultTime),
                CultureInfo.InvariantCulture,
                DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal,
                out var at
            )
        )
            return at;
        return Headers.NewestDeath(properties)?.TryGetValue("time", out var time) == true && time is AmqpTimestamp stamp
            ? DateTimeOffset.FromUnixTimeSeconds(stamp.UnixTime)
            : null;
    }

    private static string CauseOf(string exception, string? reason)
    {
        var line = (reason ?? "").Split('\n', 2)[0].Trim();
        var cause = Varying().Replace(line, "…");
        if (cause.Length > CauseLength)
            cause = string.Concat(cause.AsSpan(0, CauseLength), "…");
        return cause.Length == 0 || cause == exception ? exception
            : NamedException().IsMatch(cause) ? cause
            : $"{exception}: {cause}";
    }

    private static JsonElement? Json(ReadOnlyMemory<byte> body)
    {
        try
        {
            return JsonSerializer.Deserialize<JsonElement>(body.Span);
        }
        catch (JsonException)
        {
            return null; // An unreadable body is one of the reasons for a dead letter.
        }
    }

    // Ids, hashes, quoted texts and numbers.
    [GeneratedRegex(
        """[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\b[0-9a-fA-F]{32,}\b|'[^']*'|"[^"]*"|(?<![A-Za-z])\d+""",
        RegexOptions.ExplicitCapture,
        1000
    )]
    private static partial Regex Varying();

    [GeneratedRegex(@"^(?<name>[A-Z]\w*Exception): ", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex NamedException();
}
