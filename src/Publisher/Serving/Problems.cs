using System.Text.Json;
using Amazon.Runtime;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.WebUtilities;
using Npgsql;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Storage;
using Pipeline.Publisher.Terminal;
using Pipeline.Publisher.Uploading;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>Every error as problem+json (RFC 9457), with a type that a program can tell apart and never a stack.</summary>
internal static partial class Problems
{
    // A queue takes messages again when a fifth of it was consumed, which takes workers that run some seconds.
    private static readonly TimeSpan QueueFullPause = TimeSpan.FromSeconds(10);

    /// <param name="status">The HTTP status.</param>
    /// <param name="type">Its name within <c>urn:pipeline:problem:</c>, which clients may rely on.</param>
    /// <param name="detail">One or more sentences for a person.</param>
    /// <param name="errors">What is wrong with the request, each with its place.</param>
    public static IResult Of(int status, string type, string detail, IReadOnlyList<string>? errors = null) =>
        Results.Problem(
            new ProblemDetails
            {
                Type = $"urn:pipeline:problem:{type}",
                Title = ReasonPhrases.GetReasonPhrase(status),
                Status = status,
                Detail = detail,
                Extensions = errors is null
                    ? []
                    : new Dictionary<string, object?>(StringComparer.Ordinal) { ["errors"] = errors },
            }
        );

    public static IResult BadRequest(string detail, IReadOnlyList<string>? errors = null) =>
        Of(StatusCodes.Status400BadRequest, "bad-request", detail, errors);

    public static IResult NotFound(string type, string detail) => Of(StatusCodes.Status404NotFound, type, detail);

    /// <summary>For an answer that the framework left without a body.</summary>
    public static IResult OfStatus(int status) =>
        status switch
        {
            StatusCodes.Status404NotFound => NotFound("not-found", "There is nothing at this address."),
            StatusCodes.Status405MethodNotAllowed => Of(
                status,
                "method-not-allowed",
                "This address does not take this method."
            ),
            _ => Of(status, "request-failed", $"{ReasonPhrases.GetReasonPhrase(status)}."),
        };

    /// <summary>Middleware: turns what an endpoint throws into an answer, and says it in the log.</summary>
    public static async Task CatchAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody waits for an answer any more.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            var (status, type) = Classify(e);
            var detail = e is JsonException json
                ? $"The body is not what was expected: {JsonErrors.Describe(json)}"
                : Failures.Describe(e);
            var logger = context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(Problems));
            if (status == StatusCodes.Status500InternalServerError)
                LogUnexpected(logger, context.Request.Method, context.Request.Path, e);
            else if (status > StatusCodes.Status500InternalServerError)
                LogUnavailable(logger, context.Request.Method, context.Request.Path, detail ?? e.Message);
            context.Response.Clear();
            if (e is PublishFailedException failure && BrokerFailures.IsQueueFull(failure))
                context.Response.Headers.RetryAfter = $"{QueueFullPause.TotalSeconds:F0}";
            var said = e is BadHttpRequestException ? e.Message : detail;
            await Of(status, type, said ?? "An unexpected error. The publisher's log has it.").ExecuteAsync(context);
        }
    }

    private static (int Status, string Type) Classify(Exception error) =>
        error switch
        {
            BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => (
                StatusCodes.Status413PayloadTooLarge,
                "body-too-large"
            ),
            BadHttpRequestException e => (e.StatusCode, "bad-request"),
            JsonException => (StatusCodes.Status400BadRequest, "bad-request"),
            UnroutableMessageException => (StatusCodes.Status503ServiceUnavailable, "no-route"),
            PublishFailedException e when BrokerFailures.IsQueueFull(e) => (
                StatusCodes.Status503ServiceUnavailable,
                "queue-full"
            ),
            PublishFailedException => (StatusCodes.Status503ServiceUnavailable, "broker-unavailable"),
            NpgsqlException => (StatusCodes.Status503ServiceUnavailable, "database-unavailable"),
            StorageException or AmazonServiceException or AmazonClientException => (
                StatusCodes.Status503ServiceUnavailable,
                "storage-unavailable"
            ),
            SpoolException => (StatusCodes.Status503ServiceUnavailable, "spool-unavailable"),
            _ => (StatusCodes.Status500InternalServerError, "internal"),
        };

    [LoggerMessage(LogLevel.Error, "{Method} {Path} failed unexpectedly")]
    private static partial void LogUnexpected(ILogger logger, string method, PathString path, Exception error);

    [LoggerMessage(LogLevel.Warning, "{Method} {Path} could not be answered: {Reason}")]
    private static partial void LogUnavailable(ILogger logger, string method, PathString path, string reason);
}
