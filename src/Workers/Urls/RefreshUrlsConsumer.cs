using MassTransit;
using Pipeline.Contracts.Urls;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Urls;

/// <summary>Renews the URLs of one picture, of a project, or all that are due.</summary>
internal sealed partial class RefreshUrlsConsumer(
    CommandAnswers answers,
    PictureRefresh picture,
    BulkRefresh bulk,
    ILogger<RefreshUrlsConsumer> logger
) : IConsumer<RefreshUrls>
{
    public async Task Consume(ConsumeContext<RefreshUrls> context)
    {
        var cancellation = context.CancellationToken;
        var request = RefreshRequest.Of(context);
        if (RefreshRules.Refuse(request.Command) is { } rule)
            await answers.RefuseAsync(request.Delivery, rule, cancellation);
        else
        {
            var end = request.Command.ImageId is null
                ? await bulk.RefreshAsync(request, cancellation)
                : await picture.RefreshAsync(request, cancellation);
            if (end is not null)
                Ended(request.Command.CommandId, end.Outcome, end.Reason);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Refresh of URLs {CommandId}: {Outcome} {Reason}")]
    private partial void Ended(Guid commandId, string outcome, string? reason);
}
