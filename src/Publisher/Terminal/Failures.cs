using System.Net.Sockets;
using Amazon.Runtime;
using Npgsql;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Settings;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Storage;
using Pipeline.Publisher.Uploading;
using Pipeline.Wire;

namespace Pipeline.Publisher.Terminal;

/// <summary>The exit statuses that every verb shares.</summary>
internal static class Exit
{
    public const int Done = 0;

    /// <summary>Something failed, or what was asked for is not so.</summary>
    public const int Failed = 1;

    /// <summary>The command line, a file or a setting is wrong: nothing was tried.</summary>
    public const int Usage = 2;
}

/// <summary>What was asked for cannot be right. The message says what to change; nothing was sent.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>What was tried did not come true. The message says what.</summary>
internal sealed class FailureException(string message) : Exception(message);

/// <summary>Tells a failure in one line, and its exit status.</summary>
internal static class Failures
{
    public static int StatusOf(Exception error) =>
        error is UsageException or SettingsException ? Exit.Usage : Exit.Failed;

    /// <returns>Null for what nobody expected: a bug, whose type and message are then all there is to say.</returns>
    public static string? Describe(Exception error) =>
        error switch
        {
            UsageException or SettingsException or FailureException or StorageException or SpoolException =>
                error.Message,
            UnroutableMessageException => $"{error.Message} Are the workers running? They declare the routes.",
            PublishFailedException failed => BrokerFailures.Describe(failed),
            NpgsqlException database => DatabaseFailures.Describe(database),
            AmazonServiceException or AmazonClientException => StorageFailures.Describe(error),
            IOException or UnauthorizedAccessException or SocketException => error.Message,
            OperationCanceledException => "Interrupted.",
            AggregateException { InnerException: { } inner } => Describe(inner),
            _ => null,
        };
}
