using System.Security.Cryptography;
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
internal sealed partial class ImportImageHandler(
    ImportLedger ledger,
    ImportSource source,
    IImageStore store,
    ImportingOptions options,
    ILogger<ImportImageHandler> logger
) : ICommandHandler<ImportImage>
{
    public async Task HandleAsync(
        CommandRunner runner,
        CommandRequest request,
        ImportImage command,
        CancellationToken cancellation
    )
    {
        var earlier = await ImportLedger.RecallAsync(runner, command, request, cancellation);
        if (earlier == EarlierRun.None)
            earlier = await ledger.RecordAsync(runner, request, await DecideAsync(command, cancellation), cancellation);

        // A failed one is kept for its replay, and one of another command is not ours to delete.
        if (earlier is EarlierRun.None or EarlierRun.Decided && ObjectKeys.IsUpload(command.UploadKey))
            await DiscardAsync(command.UploadKey, cancellation);
    }

    private async Task<ImportDecision> DecideAsync(ImportImage command, CancellationToken cancellation)
    {
        if (ImportRules.Refuse(command) is { } rule)
            return ImportDecision.Rejected(command, rule);

        var field = command.UploadKey is null ? "sourceUrl" : "uploadKey";
        return await source.ReadAsync(command, cancellation) switch
        {
            SourceRefusal refusal => ImportDecision.Rejected(command, refusal.Reason),
            SourceBytes { Content: var content } => ImageSniffer.Inspect(content.Span, options.ImageLimits) switch
            {
                ImageFacts facts => await StoreAsync(command, content, facts, cancellation),
                ImageRefusal refusal => ImportDecision.Rejected(command, $"{field}: the file {refusal.Reason}."),
                var other => throw new NotSupportedException(other.ToString()),
            },
            var other => throw new NotSupportedException(other.ToString()),
        };
    }

    private async Task<ImportDecision> StoreAsync(
        ImportImage command,
        ReadOnlyMemory<byte> content,
        ImageFacts facts,
        CancellationToken cancellation
    )
    {
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(content.Span));
        await foreach (var key in ledger.FreshKeysAsync(command, sha256, facts.Format.Extension, cancellation))
        {
            var put = await store.PutOnceAsync(key, content, facts.Format.ContentType, cancellation);
            if (put == PutOutcome.AlreadyThere && !await HasAsync(key, sha256, cancellation))
                continue;
            if (await store.HeadAsync(key, cancellation) is not { } stored)
                throw new SourceUnavailableException($"{key} was deleted while it was imported.");
            return ImportDecision.Applied(command, FollowUpOf(command, stored, sha256, facts), stored);
        }

        throw new InvalidOperationException($"The same bytes came more than {ObjectKeys.CopyLimit} times.");
    }

    /// <summary>An object under the key is this import's own from before, unless somebody else has put other bytes there.</summary>
    private async Task<bool> HasAsync(string key, string sha256, CancellationToken cancellation)
    {
        switch (await store.HashAsync(key, cancellation))
        {
            case null:
                throw new SourceUnavailableException($"{key} was deleted while it was imported.");
            case var hash when hash == sha256:
                return true;
            case var hash:
                OtherBytes(key, hash);
                return false;
        }
    }

    private static FollowUp FollowUpOf(ImportImage command, StoredObject stored, string sha256, ImageFacts facts)
    {
        var id = Guid.NewGuid();
        return command.Replace
            ? Command(
                id,
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
            : Command(
                id,
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

    private static FollowUp Command<T>(Guid id, T command) =>
        new(id, new Announcement(WireNames.ExchangeOf<T>(), id, WireJson.Write(command)));

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

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The object {Key} has other bytes (SHA-256 {Hash}): the image is stored as another copy. "
            + "Reconcile with --deep finds the image that shows them."
    )]
    private partial void OtherBytes(string key, string hash);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The upload {Key} is not needed any more but stays: {Error}")]
    private partial void UploadLeftBehind(string key, string error);
}
