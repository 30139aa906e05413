using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Pipeline.Wire;
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

    private readonly LetterBody _content = new(Properties, Body);

    /// <summary>As AMQP has it, or else the command's own: by this one people name it. Null where it has neither.</summary>
    public string? MessageId =>
        string.IsNullOrEmpty(Properties.MessageId) ? CommandId?.ToString() : Properties.MessageId;

    /// <inheritdoc cref="LetterBody.Type"/>
    public string? Type => _content.Type;

    /// <inheritdoc cref="LetterBody.IsCommand"/>
    public bool IsCommand => _content.IsCommand;

    /// <inheritdoc cref="LetterBody.CommandId"/>
    public Guid? CommandId => _content.CommandId;

    /// <inheritdoc cref="LetterBody.Message"/>
    public JsonElement? Message => _content.Message;

    public Guid? ProjectId => Guid.TryParse(RoutingKey, out var key) ? key : _content.ProjectId;

    /// <summary>What makes the command one command; null for a message without an id.</summary>
    public CommandKey? Key =>
        CommandId is { } id ? CommandKey.Of(ProjectId ?? Guid.Empty, id, Headers.Sender(Properties)) : null;

    public bool IsEnvelope => _content.IsEnvelope;

    /// <summary>The exception's type without its namespace; for the broker's own, such as <c>delivery_limit</c>.</summary>
    /// <remarks>A lane's failure is told by the exception that its reason begins with.</remarks>
    public string Exception { get; } = ExceptionOf(Properties);

    /// <summary>What the exception says, in full.</summary>
    public string? Reason =>
        Headers.Text(Properties, Headers.FaultMessage)
        ?? Headers.TextOf(Headers.NewestDeath(Properties)?.TryGetValue("reason", out var value) == true ? value : null)
        ?? Headers.Text(Properties, Headers.Reason);

    /// <summary>The first line of the reason without what differs from message to message: failures of one kind share it.</summary>
    public string Cause => CauseOf(Exception, Reason);

    /// <summary>When it failed, UTC; null where nothing tells.</summary>
    public DateTimeOffset? FailedAt { get; } = FailedAtOf(Properties);

    /// <summary>How often a person has replayed it before.</summary>
    public int Replays => Headers.Number(Properties, Headers.ReplayCount);

    /// <summary>The replay that sent it last; null where none did.</summary>
    public string? ReplayRun => Headers.Text(Properties, Headers.ReplayRun);

    private static string ExceptionOf(IReadOnlyBasicProperties properties)
    {
        if (NamedException().Match(Headers.Text(properties, Headers.FaultMessage) ?? "") is { Success: true } named)
            return named.Groups["name"].Value;
        if (Headers.Text(properties, Headers.ExceptionType) is { } type)
            return type[(type.LastIndexOfAny(['.', '+']) + 1)..];
        return Headers.NewestDeath(properties)?.TryGetValue("reason", out var reason) == true
                ? Headers.TextOf(reason) ?? "unknown"
            : Headers.Text(properties, Headers.Reason) is { } skipped ? skipped
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
