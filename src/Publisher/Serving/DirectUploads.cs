using Amazon.S3.Model;
using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Storage;
using Pipeline.Publisher.Uploading;
using Pipeline.Wire;

namespace Pipeline.Publisher.Serving;

/// <summary>Looks at what was put into the store past the publisher, and hands it in or deletes it.</summary>
internal sealed class DirectUploads(
    UploadLimits limits,
    S3Store store,
    CommandSender sender,
    ReceiptReads receipts,
    ILoggerFactory loggers,
    TimeProvider clock
)
{
    /// <param name="command">The import that the upload becomes.</param>
    /// <param name="sha256">What the sender says that it has sent; null where it does not say.</param>
    /// <param name="cancellation">The upload stays as it is, and may be confirmed again.</param>
    public async Task<IResult> ConfirmAsync(ImportImage command, string? sha256, CancellationToken cancellation)
    {
        var key = command.UploadKey ?? "";
        using var found = await store.OpenAsync(key, cancellation);
        if (found is null)
        {
            // An import that has ended has deleted its upload; its answer may have been lost on the way.
            return await receipts.FindAsync(new(command.ProjectId, command.CommandId), cancellation) is null
                ? Problems.NotFound("upload-not-found", "There is no such upload: put the file to its URL first.")
                : Accepted(command);
        }

        if (Age(found) > limits.ConfirmWithin)
            return Problems.Of(
                StatusCodes.Status410Gone,
                "upload-expired",
                $"The upload came more than {limits.ConfirmWithin} ago, so it counts as abandoned: ask for a new one."
            );
        if (await RefuseAsync(found, sha256, cancellation) is { } problem)
        {
            await store.DeleteAsync(key, cancellation);
            return UploadProblems.Refused(problem, command.ProjectId, loggers);
        }

        await sender.SendAsync(WireMessage.Command(command, command.CommandId, command.ProjectId), cancellation);
        return Accepted(command);
    }

    private async Task<string?> RefuseAsync(GetObjectResponse found, string? sha256, CancellationToken cancellation)
    {
        switch (await new UploadDoor(limits).CheckAsync(found.ResponseStream, cancellation))
        {
            case RefusedFile refused:
                return $"content: {refused.Reason}";
            case CheckedFile taken:
                using (taken.File)
                    return sha256 is null || sha256 == taken.File.Sha256
                        ? null
                        : $"sha256: the bytes that came have {taken.File.Sha256}";
            case var other:
                throw new NotSupportedException(other.ToString());
        }
    }

    private TimeSpan Age(GetObjectResponse found) =>
        found.LastModified is { } at ? clock.GetUtcNow() - new DateTimeOffset(at.ToUniversalTime()) : TimeSpan.Zero;

    private static IResult Accepted(ImportImage command)
    {
        var receipt = ReceiptPath.Of(command.ProjectId, command.CommandId);
        return Results.Accepted(
            receipt,
            new
            {
                command.CommandId,
                command.ProjectId,
                command.ImageId,
                receipt,
            }
        );
    }
}
