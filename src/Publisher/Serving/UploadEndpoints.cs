using Microsoft.AspNetCore.Mvc;
using Microsoft.Net.Http.Headers;
using Pipeline.Publisher.Uploading;

namespace Pipeline.Publisher.Serving;

/// <summary>
/// Takes forms with files. Each file is checked before anything is stored, and one that is refused refuses the form.
/// </summary>
internal static class UploadEndpoints
{
    public static void MapUploads(this IEndpointRouteBuilder routes, UploadLimits limits) =>
        routes
            .MapPost("/projects/{id:guid}/images", UploadAsync)
            .WithMetadata(new RequestSizeLimitAttribute(limits.RequestLimitBytes));

    private static async Task<IResult> UploadAsync(
        Guid id,
        HttpRequest request,
        UploadLimits limits,
        UploadDesk desk,
        ILoggerFactory loggers,
        TimeProvider clock,
        CancellationToken cancellation
    )
    {
        if (Refuse(request, id, out var type) is { } refusal)
            return refusal;

        using var form = new UploadForm(new UploadDoor(limits), limits);
        using var late = new CancellationTokenSource(limits.RequestTimeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellation);
        try
        {
            if (await form.ReadAsync(type, request.Body, either.Token) is { } problem)
                return UploadProblems.Refused(problem, id, loggers);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            return UploadProblems.TooSlow(limits);
        }
        catch (Exception e) when (e is InvalidDataException or IOException and not BadHttpRequestException)
        {
            return Problems.BadRequest($"The body is no whole multipart/form-data: {e.Message}");
        }

        var commands = await desk.HandInAsync(id, form.Pictures, cancellation);
        return Results.Accepted(
            value: new { projectId = id, images = form.Pictures.Zip(commands, UploadAnswer.Of).ToList() }
        );
    }

    private static IResult? Refuse(HttpRequest request, Guid project, out MediaTypeHeaderValue type)
    {
        type = new MediaTypeHeaderValue("multipart/form-data");
        if (Bodies.RefuseOtherOrigins(request) is { } refusal)
            return refusal;
        if (project == Guid.Empty)
            return Problems.BadRequest("The project's id must not be all zeros.");
        if (
            MediaTypeHeaderValue.TryParse(request.ContentType, out var given)
            && given.MediaType.Equals(type.MediaType, StringComparison.OrdinalIgnoreCase)
            && request.Headers.ContentEncoding.Count == 0
        )
        {
            type = given;
            return null;
        }

        return Problems.Of(
            StatusCodes.Status415UnsupportedMediaType,
            "unsupported-media-type",
            "The body must be multipart/form-data without a content encoding."
        );
    }
}

/// <summary>The refusals of uploads. Nothing is stored after one.</summary>
internal static partial class UploadProblems
{
    /// <param name="problem">The place and its rule, such as <c>files[0].content: the file is text, not …</c>.</param>
    /// <param name="project">For the log: the sender may be a program that nobody watches.</param>
    /// <param name="loggers">The application's.</param>
    public static IResult Refused(string problem, Guid project, ILoggerFactory loggers)
    {
        LogRefused(loggers.CreateLogger(typeof(UploadProblems)), project, problem);
        return Problems.Of(
            StatusCodes.Status422UnprocessableEntity,
            "upload-refused",
            "The upload is refused, and nothing of it is stored.",
            [problem]
        );
    }

    public static IResult TooSlow(UploadLimits limits) =>
        Problems.Of(
            StatusCodes.Status408RequestTimeout,
            "upload-too-slow",
            $"The body did not come within {limits.RequestTimeout.TotalSeconds:0} seconds; nothing of it is stored."
        );

    [LoggerMessage(LogLevel.Information, "An upload to project {Project} is refused: {Problem}")]
    private static partial void LogRefused(ILogger logger, Guid project, string problem);
}
