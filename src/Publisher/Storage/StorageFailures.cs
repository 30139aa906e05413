using System.Net;
using Amazon.Runtime;

namespace Pipeline.Publisher.Storage;

/// <summary>Tells what went wrong at the object store so that a person knows what to do.</summary>
internal static class StorageFailures
{
    public static string Describe(Exception failure) =>
        failure switch
        {
            AmazonServiceException { ErrorCode: "NoSuchBucket" } =>
                "The object store has no such bucket (Storage__Bucket). The workers' migration makes it: run Pipeline.Workers migrate.",
            AmazonServiceException { ErrorCode: "InvalidAccessKeyId" or "SignatureDoesNotMatch" or "ExpiredToken" } e =>
                $"The object store refused the credentials in Storage__AccessKey and Storage__SecretKey ({e.ErrorCode}).",
            AmazonServiceException { ErrorCode: "AccessDenied" } =>
                "The object store denies these credentials access to the bucket.",
            AmazonServiceException { StatusCode: >= HttpStatusCode.Continue } e =>
                $"The object store answered {(int)e.StatusCode} {e.ErrorCode}: {e.Message}",
            _ => $"The object store does not answer at Storage__ServiceUrl: {failure.GetBaseException().Message}",
        };
}

/// <summary>The object store did not answer, or its credentials do not do. Worth another try.</summary>
internal sealed class StorageException(string message, Exception? inner = null) : Exception(message, inner);
