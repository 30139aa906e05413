using System.Net;
using System.Net.Sockets;
using System.Xml;
using Amazon.Runtime;

namespace Pipeline.Workers.Storage;

/// <summary>Tells which of S3's failures are worth a retry, which wait for a person, and which are bugs.</summary>
/// <remarks>Codes: Amazon S3 API reference, "Error responses".</remarks>
internal static class S3Failures
{
    // What the SDK gives a request that never got an answer.
    private const HttpStatusCode NoAnswer = default;

    private static readonly HashSet<string> Misconfigurations = new(StringComparer.Ordinal)
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "BucketAlreadyExists",
        "InvalidAccessKeyId",
        "InvalidBucketName",
        "NoSuchBucket",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    };

    // Answered with a 4xx status, though the same request may succeed later.
    private static readonly HashSet<string> Passing = new(StringComparer.Ordinal)
    {
        "ConditionalRequestConflict",
        "ExpiredToken", // The SDK fetches new credentials for the next try.
        "OperationAborted",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "TooManyRequests",
    };

    /// <summary>The exception to throw instead; null where <paramref name="failure"/> should escape as it is.</summary>
    /// <param name="failure">What the SDK threw.</param>
    /// <param name="call">What was tried, such as <c>put projects/…</c>, for the message.</param>
    /// <param name="options">Named in the message, so that the operator knows where to look.</param>
    /// <param name="cancellation">The caller's: only its own cancellation is one, a time-out is a failure.</param>
    public static Exception? Translate(
        Exception failure,
        string call,
        StorageOptions options,
        CancellationToken cancellation
    )
    {
        if (cancellation.IsCancellationRequested)
            return null;

        var store = $"the bucket '{options.Bucket}' at {options.ServiceUrl ?? $"AWS {options.Region}"}";
        return failure switch
        {
            _ when IsUnreadable(failure) => new StorageMisconfiguredException(
                $"Cannot {call}: what {store} answered cannot be read as S3's answer, also when asked again. A proxy in "
                    + "between, or an object whose key its XML cannot hold? "
                    + failure.Message,
                failure
            ),
            AmazonServiceException answer when IsMisconfiguration(answer) => new StorageMisconfiguredException(
                $"Cannot {call}: {store} answered {Describe(answer)}. Check the section Storage and the bucket's policy.",
                answer
            ),
            AmazonServiceException answer when IsPassing(answer) => new StorageUnavailableException(
                $"Cannot {call} now: {store} answered {Describe(answer)}.",
                answer
            ),
            AmazonServiceException => null,
            OperationCanceledException => new StorageUnavailableException(
                $"Cannot {call} now: {store} did not answer within {options.RequestTimeout.TotalSeconds:0.#} s.",
                failure
            ),
            AmazonClientException when failure.Message.Contains("credentials", StringComparison.OrdinalIgnoreCase) =>
                new StorageMisconfiguredException(
                    $"Cannot {call}: there are no credentials. {failure.Message}",
                    failure
                ),
            AmazonClientException or HttpRequestException or IOException or SocketException or TimeoutException =>
                new StorageUnavailableException(
                    $"Cannot {call} now: {store} cannot be reached. {failure.Message}",
                    failure
                ),
            _ => null,
        };
    }

    /// <summary>Whether the store has answered something that is not S3's XML.</summary>
    public static bool IsUnreadable(Exception failure) =>
        failure is InvalidDataException or XmlException
        || (failure is AmazonUnmarshallingException answer && answer.StatusCode == HttpStatusCode.OK);

    private static bool IsMisconfiguration(AmazonServiceException answer) =>
        Misconfigurations.Contains(answer.ErrorCode ?? "")
        || answer.StatusCode
            is HttpStatusCode.MovedPermanently
                or HttpStatusCode.Unauthorized
                or HttpStatusCode.Forbidden
                // What the store cannot do it will not do later either.
                or HttpStatusCode.MethodNotAllowed
                or HttpStatusCode.NotImplemented;

    private static bool IsPassing(AmazonServiceException answer) =>
        Passing.Contains(answer.ErrorCode ?? "")
        || answer.StatusCode is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests
        || answer.StatusCode is NoAnswer or >= HttpStatusCode.InternalServerError;

    private static string Describe(AmazonServiceException answer) =>
        $"{(int)answer.StatusCode} {answer.ErrorCode ?? "without a code"} ({answer.Message})";
}
