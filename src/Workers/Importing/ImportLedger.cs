using System.Runtime.CompilerServices;
using Npgsql;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
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

    /// <summary>
    /// It failed, and nobody has replayed it since, or the id belongs to another command; the answer has been queued.
    /// </summary>
    Refused,
}

/// <summary>Receipts of imports, with the objects and messages that commit with them.</summary>
internal sealed class ImportLedger(NpgsqlDataSource source, ImportMetrics metrics, TimeProvider clock)
{
    /// <summary>Looks for the command's receipt and, where it stands, queues its answer again.</summary>
    public async Task<EarlierRun> RecallAsync(
        ImportImage import,
        CommandRequest request,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var run = EarlierRun.None;
        if (await CommandReceipts.RecallAsync(connection, transaction, request, Now(), cancellation))
        {
            var earlier = await ReceiptStore.FindAsync(connection, transaction, request.Key, cancellation);
            run =
                earlier!.Outcome != Outcomes.Failed && earlier.RequestHash.AsSpan().SequenceEqual(request.RequestHash)
                    ? EarlierRun.Decided
                    : EarlierRun.Refused;
        }
        else if (import.UploadKey is { Length: <= ObjectKeys.ByteLimit } key)
            await ImportSources.BeginAsync(connection, transaction, key, request.Key, Now(), cancellation);

        await transaction.CommitAsync(cancellation);
        return run;
    }

    /// <summary>Keys for the bytes: those of the copies, one after the other, that were never purged.</summary>
    public async IAsyncEnumerable<string> FreshKeysAsync(
        ImportImage command,
        string sha256,
        string extension,
        [EnumeratorCancellation] CancellationToken cancellation
    )
    {
        var purged = await PurgedKeysAsync(command.ImageId, cancellation);
        for (var copy = 1; copy < ObjectKeys.CopyLimit; copy++)
        {
            var key = ObjectKeys.ForImage(command.ProjectId, command.ImageId, sha256, extension, copy);
            if (!purged.Contains(key))
                yield return key;
        }
    }

    private async Task<HashSet<string>> PurgedKeysAsync(Guid imageId, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        return await ObjectCatalog.PurgedKeysAsync(connection, imageId, cancellation);
    }

    /// <summary>Commits the receipt with everything that belongs to it.</summary>
    /// <returns>False where another delivery of the command was first; then nothing is written.</returns>
    /// <exception cref="SourceUnavailableException">The object's purge has begun meanwhile: import under the next key.</exception>
    public async Task<bool> RecordAsync(CommandRequest request, ImportDecision decision, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var at = Now();
        var followUp = decision.FollowUp;
        var isFirst = await CommandReceipts.EndAsync(
            connection,
            transaction,
            request,
            decision.Outcome,
            decision.Reason,
            [followUp?.Message ?? CommandReceipts.Rejection(request, decision.Reason!, at)],
            at,
            cancellation,
            followUpId: followUp?.CommandId
        );
        if (!isFirst)
            return false;

        if (decision.Stored is { } stored)
        {
            var isHeld = await ObjectCatalog.HoldAsync(
                connection,
                transaction,
                decision.Command.ProjectId,
                decision.Command.ImageId,
                followUp!.CommandId,
                stored,
                at,
                cancellation
            );
            if (!isHeld)
                throw new SourceUnavailableException($"{stored.Key} is being purged: the bytes go under the next key.");
        }

        await ImportSources.EndAsync(connection, transaction, request.Key, cancellation);
        await transaction.CommitAsync(cancellation);
        metrics.Ended(decision.Outcome);
        return true;
    }

    /// <summary>The upload is deleted: nobody is to find it in the catalogue.</summary>
    public Task ForgetAsync(string key, CancellationToken cancellation) =>
        ObjectCatalog.RemoveAsync(source, [key], cancellation);

    private DateTimeOffset Now() => clock.GetDatabaseNow();
}
