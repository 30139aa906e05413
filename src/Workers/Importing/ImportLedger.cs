using System.Text;
using Npgsql;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Images;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>What the database knew of a command before this delivery.</summary>
internal enum EarlierRun
{
    /// <summary>Nothing, or a failure that a person has replayed since: it is to be carried out.</summary>
    None,

    /// <summary>It is decided; the same answer has been queued again.</summary>
    Decided,

    /// <summary>It failed, and nobody has replayed it since; the same answer has been queued again.</summary>
    Failed,

    /// <summary>The id belongs to another command. That one stands; this one is kept beside it and refused.</summary>
    OtherContent,
}

/// <summary>Receipts of imports, with the objects and messages that commit with them.</summary>
internal sealed class ImportLedger(NpgsqlDataSource source, ImportMetrics metrics, TimeProvider clock)
{
    /// <summary>Looks for the command's receipt and, where it stands, queues its answer again.</summary>
    public async Task<EarlierRun> RecallAsync(ImportRequest request, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var commandId = request.Command.CommandId;
        if (await ReceiptStore.FindAsync(connection, transaction, commandId, cancellation) is not { } earlier)
        {
            if (request.Command.UploadKey is { Length: <= ObjectKeys.ByteLimit } key)
                await ImportSources.BeginAsync(connection, transaction, key, commandId, Now(), cancellation);
            await transaction.CommitAsync(cancellation);
            return EarlierRun.None;
        }

        IReadOnlyList<Announcement> answer = earlier.Announcements;
        var run = earlier.Outcome == Outcomes.Failed ? EarlierRun.Failed : EarlierRun.Decided;
        if (!earlier.RequestHash.AsSpan().SequenceEqual(request.RequestHash))
        {
            run = EarlierRun.OtherContent;
            var refusal = ImportDecision.Rejected(request, ReceiptStore.ConflictReason, Now());
            answer = [refusal.Announcement];
            var body = Encoding.UTF8.GetString(request.Content);
            await ReceiptStore.KeepConflictAsync(connection, transaction, ReceiptOf(refusal), body, cancellation);
        }
        else if (run == EarlierRun.Failed && request.Replays > earlier.Replays)
            return EarlierRun.None;

        await Outbox.AppendAsync(connection, transaction, Messages(request, answer), cancellation);
        await transaction.CommitAsync(cancellation);
        return run;
    }

    /// <summary>The key for the bytes: the first copy whose key was never purged.</summary>
    public async Task<string> FreshKeyAsync(
        ImportImage command,
        string sha256,
        string extension,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        var purged = await ObjectCatalog.PurgedKeysAsync(connection, command.ImageId, cancellation);
        for (var copy = 1; copy < ObjectKeys.CopyLimit; copy++)
        {
            var key = ObjectKeys.ForImage(command.ProjectId, command.ImageId, sha256, extension, copy);
            if (!purged.Contains(key))
                return key;
        }

        throw new InvalidOperationException($"The same bytes came back more than {ObjectKeys.CopyLimit} times.");
    }

    /// <summary>Commits the receipt with everything that belongs to it.</summary>
    /// <returns>False where another delivery of the command was first; then nothing is written.</returns>
    /// <exception cref="SourceUnavailableException">The object's purge has begun meanwhile: import under the next key.</exception>
    public async Task<bool> RecordAsync(ImportDecision decision, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var receipt = ReceiptOf(decision);
        if (!await ReceiptStore.WriteAsync(connection, transaction, receipt, isTakenBack: false, cancellation))
            return false;

        if (decision.Stored is { } stored)
        {
            var isHeld = await ObjectCatalog.HoldAsync(
                connection,
                transaction,
                decision.Request.Command.ImageId,
                decision.Announcement.MessageId, // Of a save or replacement: its command id.
                stored,
                decision.At,
                cancellation
            );
            if (!isHeld)
                throw new SourceUnavailableException($"{stored.Key} is being purged: the bytes go under the next key.");
        }
        if (decision.Outcome != Outcomes.Failed) // A failed one keeps its upload for the replay.
            await ImportSources.EndAsync(connection, transaction, receipt.CommandId, cancellation);
        var messages = Messages(decision.Request, [decision.Announcement]);
        await Outbox.AppendAsync(connection, transaction, messages, cancellation);
        await transaction.CommitAsync(cancellation);
        metrics.Ended(decision.Outcome);
        return true;
    }

    /// <summary>The upload is deleted: nobody is to find it in the catalogue.</summary>
    public Task ForgetAsync(string key, CancellationToken cancellation) =>
        ObjectCatalog.RemoveAsync(source, [key], cancellation);

    /// <summary>The time, in the microseconds that the database keeps, so that receipt and event agree.</summary>
    public DateTimeOffset Now() => clock.GetDatabaseNow();

    private static Receipt ReceiptOf(ImportDecision decision) =>
        new()
        {
            CommandId = decision.Request.Command.CommandId,
            ProjectId = decision.Request.Command.ProjectId,
            Command = ImportRequest.CommandName,
            RequestHash = decision.Request.RequestHash,
            Outcome = decision.Outcome,
            Reason = decision.Reason,
            Replays = decision.Request.Replays,
            Announcements = Announcement.Write([decision.Announcement]),
            At = decision.At,
        };

    // Save and replacement are commands and must reach a lane; events may have no listener.
    private static WireMessage[] Messages(ImportRequest request, IReadOnlyList<Announcement> announcements) =>
        [
            .. announcements.Select(x =>
                x.ToWire(
                    request.Command.ProjectId,
                    mandatory: x.Exchange == WireNames.ExchangeOf<SaveImage>()
                        || x.Exchange == WireNames.ExchangeOf<ReplaceImage>()
                )
            ),
        ];
}
