using System.Runtime.CompilerServices;
using Npgsql;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Images;
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
internal sealed class ImportLedger(NpgsqlDataSource source, ImportMetrics metrics)
{
    /// <summary>Looks for the command's receipt and, where it stands, queues its answer again.</summary>
    public static async Task<EarlierRun> RecallAsync(
        CommandRunner runner,
        ImportImage import,
        CommandRequest request,
        CancellationToken cancellation
    )
    {
        var run = await runner.RunAsync(
            request,
            async work =>
            {
                if (import.UploadKey is { Length: <= ObjectKeys.ByteLimit } key)
                    await ImportSources.BeginAsync(
                        work.Connection,
                        work.Transaction,
                        key,
                        request.Key,
                        work.At,
                        work.Cancellation
                    );
                return null;
            },
            cancellation
        );
        return Of(run, request);
    }

    private static EarlierRun Of(CommandRun run, CommandRequest request) =>
        run.Earlier switch
        {
            null => EarlierRun.None,
            { Outcome: not Outcomes.Failed } earlier when request.IsOf(earlier) => EarlierRun.Decided,
            _ => EarlierRun.Refused,
        };

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
    /// <returns>What another delivery has made of the command meanwhile, which may have failed it.</returns>
    /// <exception cref="SourceUnavailableException">The object's purge has begun meanwhile: import under the next key.</exception>
    public async Task<EarlierRun> RecordAsync(
        CommandRunner runner,
        CommandRequest request,
        ImportDecision decision,
        CancellationToken cancellation
    )
    {
        var run = await runner.RunAsync(
            request,
            async work =>
            {
                if (decision.Stored is { } stored)
                    await HoldAsync(work, decision, stored);
                await ImportSources.EndAsync(work.Connection, work.Transaction, request.Key, work.Cancellation);
                var followUp = decision.FollowUp;
                return new Decision(decision.Outcome, decision.Reason)
                {
                    Announcements = followUp is null ? null : [followUp.Message],
                    FollowUpId = followUp?.CommandId,
                };
            },
            cancellation
        );
        if (run.Decision is not null)
            metrics.Ended(decision.Outcome);
        return Of(run, request);
    }

    private static async Task HoldAsync(CommandWork work, ImportDecision decision, StoredObject stored)
    {
        var isHeld = await ObjectCatalog.HoldAsync(
            work.Connection,
            work.Transaction,
            decision.Command.ProjectId,
            decision.Command.ImageId,
            decision.FollowUp!.CommandId,
            stored,
            work.At,
            work.Cancellation
        );
        if (!isHeld)
            throw new SourceUnavailableException($"{stored.Key} is being purged: the bytes go under the next key.");
    }

    /// <summary>The upload is deleted: nobody is to find it in the catalogue.</summary>
    public Task ForgetAsync(string key, CancellationToken cancellation) =>
        ObjectCatalog.RemoveAsync(source, [key], cancellation);
}
