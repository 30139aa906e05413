using System.Security.Cryptography;
using MassTransit;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Saving;
using Pipeline.Formats;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>Fetches a picture, checks it, stores its bytes, then queues the save that shows it.</summary>
/// <remarks>
/// The object comes first and the row after it: a crash between the two leaves an object that the next delivery finds,
/// never a row without its object. Safe to redeliver: the receipt says that it is done.
/// </remarks>
internal sealed partial class ImportImageConsumer(
    ImportLedger ledger,
    ImportSource source,
    IImageStore store,
    ImportingOptions options,
    ILogger<ImportImageConsumer> logger
) : IConsumer<ImportImage>
{
    public async Task Consume(ConsumeContext<ImportImage> context)
    {
        var cancellation = context.CancellationToken;
        var request = ImportRequest.Of(context);

        var earlier = await ledger.RecallAsync(request, cancellation);
        if (earlier == EarlierRun.None)
        {
            var decision = await DecideAsync(request, cancellation);
            if (await ledger.RecordAsync(decision, cancellation))
                Ended(request.Command.CommandId, request.Command.ImageId, decision.Outcome, decision.Reason);
        }

        // A failed one is kept for its replay, and one of another command is not ours to delete.
        if (earlier is EarlierRun.None or EarlierRun.Decided && ObjectKeys.IsUpload(request.Command.UploadKey))
            await DiscardAsync(request.Command.UploadKey, cancellation);
    }

    private async Task<ImportDecision> DecideAsync(ImportRequest request, CancellationToken cancellation)
    {
        var command = request.Command;
        if (ImportRules.Refuse(command) is { } rule)
            return ImportDecision.Rejected(request, rule, ledger.Now());

        var field = command.UploadKey is null ? "sourceUrl" : "uploadKey";
        switch (await source.ReadAsync(command, cancellation))
        {
            case SourceRefusal refusal:
                return ImportDecision.Rejected(request, refusal.Reason, ledger.Now());

            case SourceBytes { Content: var content }:
                return ImageSniffer.Inspect(content.Span, options.ImageLimits) switch
                {
                    ImageFacts facts => await StoreAsync(request, content, facts, cancellation),
                    ImageRefusal refusal => ImportDecision.Rejected(
                        request,
                        $"{field}: the file {refusal.Reason}.",
                        ledger.Now()
                    ),
                    var other => throw new NotSupportedException(other.ToString()),
                };

            case var other:
                throw new NotSupportedException(other.ToString());
        }
    }

    private async Task<ImportDecision> StoreAsync(
        ImportRequest request,
        ReadOnlyMemory<byte> content,
        ImageFacts facts,
        CancellationToken cancellation
    )
    {
        var command = request.Command;
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(content.Span));
        var key = await ledger.FreshKeyAsync(command, sha256, facts.Format.Extension, cancellation);
        await store.PutOnceAsync(key, content, facts.Format.ContentType, cancellation);
        if (await store.HeadAsync(key, cancellation) is not { } stored)
            throw new SourceUnavailableException($"{key} was deleted while it was imported.");

        return ImportDecision.Applied(request, FollowUp(command, stored, sha256, facts), stored, ledger.Now());
    }

    private static Announcement FollowUp(ImportImage command, StoredObject stored, string sha256, ImageFacts facts)
    {
        var id = NameBasedGuid.Create(
            command.CommandId,
            command.Replace ? WireNames.ExchangeOf<ReplaceImage>() : WireNames.ExchangeOf<SaveImage>()
        );
        return command.Replace
            ? Announcement.Of(
                command.CommandId,
                new ReplaceImage(
                    id,
                    command.ProjectId,
                    command.ImageId,
                    stored.Key,
                    sha256,
                    facts.Format.ContentType,
                    stored.Size,
                    facts.Width,
                    facts.Height
                )
            )
            : Announcement.Of(
                command.CommandId,
                new SaveImage(
                    id,
                    command.ProjectId,
                    command.ImageId,
                    command.SceneId,
                    command.SceneIndex,
                    command.Slot,
                    stored.Key,
                    sha256,
                    facts.Format.ContentType,
                    stored.Size,
                    facts.Width,
                    facts.Height
                )
            );
    }

    /// <summary>Best effort: what stays behind costs room and nothing else.</summary>
    private async Task DiscardAsync(string key, CancellationToken cancellation)
    {
        try
        {
            await store.DeleteAsync(key, cancellation);
            await ledger.ForgetAsync(key, cancellation);
        }
        catch (Exception e) when (e is StorageUnavailableException or StorageMisconfiguredException)
        {
            UploadLeftBehind(key, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Import {CommandId} of image {ImageId}: {Outcome} {Reason}")]
    private partial void Ended(Guid commandId, Guid imageId, string outcome, string? reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The upload {Key} is not needed any more but stays: {Error}")]
    private partial void UploadLeftBehind(string key, string error);
}
