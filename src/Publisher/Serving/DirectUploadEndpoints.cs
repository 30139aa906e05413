using Microsoft.AspNetCore.Mvc;
using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Storage;
using Pipeline.Publisher.Uploading;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>
/// Uploads past the publisher: ask for a URL, put the file there, confirm. The publisher keeps nothing of what was
/// asked for: an upload is its id.
/// </summary>
internal static class DirectUploadEndpoints
{
    private const int ByteLimit = 16 * 1024;
    private const int Sha256Digits = 64;

    public static void MapDirectUploads(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/projects/{id:guid}/uploads", AskAsync).WithMetadata(new RequestSizeLimitAttribute(ByteLimit));
        routes
            .MapPost("/projects/{id:guid}/uploads/{uploadId:guid}/confirm", ConfirmAsync)
            .WithMetadata(new RequestSizeLimitAttribute(ByteLimit));
    }

    private static async Task<IResult> AskAsync(
        Guid id,
        HttpRequest request,
        UploadLimits limits,
        S3Store store,
        ILoggerFactory loggers,
        TimeProvider clock,
        CancellationToken cancellation
    )
    {
        if (Bodies.Refuse(request, id) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<AskBody>(request, cancellation);
        if (body.ByteLength is not { } length || length < 1 || length > limits.SizeLimitBytes)
            return UploadProblems.Refused($"byteLength: must be 1 to {limits.SizeLimitBytes}", id, loggers);

        var uploadId = Guid.NewGuid();
        var expiresAt = clock.GetUtcNow() + limits.UrlLifetime;
        var url = await store.SignUploadAsync(UploadKeys.For(uploadId), length, expiresAt);
        var confirm = $"/projects/{id}/uploads/{uploadId}/confirm";
        return Results.Created(
            confirm,
            new
            {
                uploadId,
                method = HttpMethods.Put,
                url,
                byteLength = length,
                expiresAt,
                pixelLimit = limits.PixelLimit,
                confirm,
                confirmWithinSeconds = (int)limits.ConfirmWithin.TotalSeconds,
            }
        );
    }

    private static async Task<IResult> ConfirmAsync(
        Guid id,
        Guid uploadId,
        HttpRequest request,
        DirectUploads uploads,
        CancellationToken cancellation
    )
    {
        if (Bodies.Refuse(request, id) is { } refusal)
            return refusal;
        var body = await Bodies.ReadAsync<ConfirmBody>(request, cancellation);
        List<string> problems =
        [
            .. Bodies.IdProblems(id, body.CommandId, body.ProjectId),
            .. PlaceRules.Problems(body.ImageId, body.SceneId, body.SceneIndex, body.Slot),
        ];
        if (body.Sha256 is { } hash && (hash.Length != Sha256Digits || !hash.All(char.IsAsciiHexDigitLower)))
            problems.Add($"sha256: must be {Sha256Digits} lower-case hexadecimal digits");
        if (uploadId == Guid.Empty)
            problems.Add("uploadId: must not be all zeros");
        if (problems.Count > 0)
            return Problems.BadRequest("The confirmation cannot be right as it is.", problems);

        // Derived from the upload: who confirms again sends the same command.
        var command = new ImportImage(
            body.CommandId ?? NameBasedGuid.Create(uploadId, WireNames.ExchangeOf<ImportImage>()),
            id,
            body.ImageId ?? NameBasedGuid.Create(uploadId, "image"),
            body.SceneId,
            body.SceneIndex,
            body.Slot ?? 0,
            SourceUrl: null,
            UploadKeys.For(uploadId)
        );
        return await uploads.ConfirmAsync(command, body.Sha256, cancellation);
    }

    private sealed record AskBody(long? ByteLength);

    private sealed record ConfirmBody(
        Guid? CommandId,
        Guid? ProjectId,
        Guid? ImageId,
        string? SceneId,
        int? SceneIndex,
        int? Slot,
        string? Sha256
    );
}
