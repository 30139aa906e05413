using System.Globalization;
using System.Text;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>
/// Headers of dead letters: those of MassTransit (its MessageHeaders), those of the broker (RabbitMQ, "Dead Letter
/// Exchanges" and "Quorum Queues") and those of this program.
/// </summary>
internal static class Headers
{
    public const string ExceptionType = "MT-Fault-ExceptionType";
    public const string FaultMessage = "MT-Fault-Message";
    public const string FaultTime = "MT-Fault-Timestamp";
    public const string FaultMessageType = "MT-Fault-MessageType";
    public const string StackTrace = "MT-Fault-StackTrace";
    public const string Reason = "MT-Reason";
    public const string Deaths = "x-death";

    /// <summary>How often a person has sent the message again; the workers decide a failed command anew by it.</summary>
    public const string ReplayCount = "x-replay-count";

    /// <summary>The replay that sent the message last, so that it knows its own when they come back.</summary>
    public const string ReplayRun = "x-replay-run";

    /// <summary>The command that an edited one stands for.</summary>
    public const string EditedFrom = "x-edited-from";

    private static readonly string[] OfTheFailure = ["MT-Fault-", "MT-Host-", "x-first-death-", "x-last-death-"];

    private static readonly string[] OfTheFailureExactly =
    [
        Reason,
        Deaths,
        "x-delivery-count",
        "x-acquired-count",
        WireNames.ExchangeHeader,
    ];

    /// <summary>True for what was added when or because the message failed: a replay goes without it.</summary>
    public static bool IsOfTheFailure(string name) =>
        OfTheFailureExactly.Contains(name, StringComparer.OrdinalIgnoreCase)
        || OfTheFailure.Any(x => name.StartsWith(x, StringComparison.OrdinalIgnoreCase));

    public static IEnumerable<KeyValuePair<string, object?>> Of(IReadOnlyBasicProperties properties) =>
        properties.Headers ?? Enumerable.Empty<KeyValuePair<string, object?>>();

    public static string? Text(IReadOnlyBasicProperties properties, string name) =>
        properties.Headers is { } headers && headers.TryGetValue(name, out var value) ? TextOf(value) : null;

    /// <summary>The broker's user who has sent the message first; null where it does not say.</summary>
    public static string? Sender(IReadOnlyBasicProperties properties) =>
        properties.UserId ?? Text(properties, WireNames.SenderHeader);

    public static int Number(IReadOnlyBasicProperties properties, string name) =>
        int.TryParse(Text(properties, name), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : 0;

    /// <summary>The newest entry of <c>x-death</c>; null where the broker itself has not moved the message.</summary>
    public static IDictionary<string, object?>? NewestDeath(IReadOnlyBasicProperties properties) =>
        properties.Headers is { } headers
        && headers.TryGetValue(Deaths, out var deaths)
        && deaths is System.Collections.IList { Count: > 0 } list
            ? list[0] as IDictionary<string, object?>
            : null;

    public static string? TextOf(object? value) =>
        value switch
        {
            null => null,
            byte[] bytes => Encoding.UTF8.GetString(bytes),
            AmqpTimestamp time => DateTimeOffset.FromUnixTimeSeconds(time.UnixTime).ToString("O"),
            _ => Convert.ToString(value, CultureInfo.InvariantCulture),
        };
}
