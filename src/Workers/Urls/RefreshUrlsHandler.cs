using Pipeline.Contracts.Urls;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Urls;

/// <summary>Renews the URLs of one image, of a project, or all that are due.</summary>
internal sealed class RefreshUrlsHandler(ImageRefresh image, BulkRefresh bulk) : ICommandHandler<RefreshUrls>
{
    public Task HandleAsync(
        CommandRunner runner,
        CommandRequest request,
        RefreshUrls command,
        CancellationToken cancellation
    )
    {
        if (RefreshRules.Refuse(command) is { } rule)
            return runner.RefuseAsync(request, rule, cancellation);
        var refresh = new RefreshRequest(command, request);
        return command.ImageId is null
            ? bulk.RefreshAsync(runner, refresh, cancellation)
            : image.RefreshAsync(runner, refresh, cancellation);
    }
}
