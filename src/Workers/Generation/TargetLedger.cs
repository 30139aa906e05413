using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>The requests of a generation, their receipts and their events, in the saga's transaction.</summary>
internal sealed class TargetLedger(TimeProvider clock)
{
    private static readonly string CommandName = WireNames.ExchangeOf<GenerateImage>();

    /// <summary>
    /// Adds a request. One that is known already is answered again where it has ended; an id that belongs to another
    /// request is refused, and its content kept.
    /// </summary>
    /// <param name="db">The saga's.</param>
    /// <param name="asked">The request.</param>
    /// <param name="replays">
    /// How often a person has replayed it: a request that failed before it came to a saga is taken in after all.
    /// </param>
    /// <param name="cancellation">The caller's.</param>
    /// <returns>True where it is new.</returns>
    public async Task<bool> JoinAsync(
        PipelineDbContext db,
        RequestGeneration asked,
        int replays,
        CancellationToken cancellation
    )
    {
        var request = asked.Request;
        var content = WireJson.Write(request);
        var hash = SHA256.HashData(content);
        var known = await db.Set<GenerationTarget>().FindAsync([request.CommandId, request.ProjectId], cancellation);
        var key = new CommandKey(request.ProjectId, request.CommandId);
        var receipt = await ReceiptStore.FindAsync(db.Connection(), db.Transaction(), key, cancellation);

        if ((known?.RequestHash ?? receipt?.RequestHash) is { } earlier && !earlier.AsSpan().SequenceEqual(hash))
        {
            var told = new CommandRejected(
                request.CommandId,
                request.ProjectId,
                CommandName,
                ReceiptStore.ConflictReason,
                Now()
            );
            var refused = NewReceipt(
                request.CommandId,
                request.ProjectId,
                hash,
                Outcomes.Rejected,
                told.Reason,
                null,
                []
            );
            var body = Encoding.UTF8.GetString(content);
            await ReceiptStore.KeepConflictAsync(db.Connection(), db.Transaction(), refused, body, cancellation);
            await AnnounceAsync(db, request.ProjectId, [Announcement.Of(key, told)], cancellation);
        }
        else if (
            receipt is not null
            && (known is not null || receipt.Outcome != Outcomes.Failed || replays <= receipt.Replays)
        )
            await AnnounceAsync(db, request.ProjectId, receipt.Announcements, cancellation);
        else if (known is null)
        {
            var target = new GenerationTarget
            {
                CommandId = request.CommandId,
                GenerationId = asked.GenerationId,
                ProjectId = request.ProjectId,
                ImageId = request.ImageId,
                SceneId = request.SceneId,
                SceneIndex = request.SceneIndex,
                Slot = request.Slot,
                RequestHash = hash,
                DeadlineAt = request.Deadline,
                CreatedAt = Now(),
            };
            if (await ReleasedTargets.IsPurgedAsync(db, request.ProjectId, request.ImageId, cancellation))
            {
                await DecideSupersededAsync(db, target, cancellation);
                return false;
            }

            db.Add(target);
            await db.SaveChangesAsync(cancellation);
            return true;
        }

        return false;
    }

    /// <summary>Nothing is rendered for an image that could never be shown, and its prompt is not kept.</summary>
    private Task DecideSupersededAsync(PipelineDbContext db, GenerationTarget target, CancellationToken cancellation)
    {
        var (outcome, reason) = (Outcomes.Superseded, ReleasedTargets.Reason);
        var ended = new GenerationEnded(
            target.CommandId,
            target.ProjectId,
            target.GenerationId,
            outcome,
            reason,
            Attempts: 0,
            Now()
        );
        var announcement = Announcement.Of(target.Key, ended);
        return DecideAsync(db, target, outcome, reason, projectVersion: null, announcement, cancellation);
    }

    /// <summary>Ends the open requests whose image is being purged.</summary>
    public async Task WithdrawPurgedAsync(PipelineDbContext db, GenerationSaga saga, CancellationToken cancellation)
    {
        foreach (var target in await Open(db, saga.CorrelationId).ToListAsync(cancellation))
        {
            if (!await ReleasedTargets.IsPurgedAsync(db, target.ProjectId, target.ImageId, cancellation))
                continue;
            var announcement = Ended(saga, target, Outcomes.Superseded, ReleasedTargets.Reason);
            await DecideAsync(
                db,
                target,
                Outcomes.Superseded,
                ReleasedTargets.Reason,
                projectVersion: null,
                announcement,
                cancellation
            );
        }
    }

    /// <param name="db">The saga's.</param>
    /// <param name="generationId">The saga.</param>
    /// <param name="asker">Null for the requests of all projects.</param>
    /// <param name="cancellation">The caller's.</param>
    public static Task<bool> AnyOpenAsync(
        PipelineDbContext db,
        Guid generationId,
        Asker? asker,
        CancellationToken cancellation
    ) => Open(db, generationId, asker).AnyAsync(cancellation);

    /// <summary>Whether anyone but the asker waits for the image.</summary>
    public static Task<bool> AnyOpenOfOthersAsync(
        PipelineDbContext db,
        Guid generationId,
        Asker asker,
        CancellationToken cancellation
    ) =>
        Open(db, generationId)
            .AnyAsync(
                x => x.ProjectId != asker.ProjectId || (asker.ImageId != null && x.ImageId != asker.ImageId),
                cancellation
            );

    /// <summary>Requests that wait for a picture and have not been handed to the import.</summary>
    public static Task<List<GenerationTarget>> ToHandOverAsync(
        PipelineDbContext db,
        Guid generationId,
        CancellationToken cancellation
    ) => Open(db, generationId).Where(x => x.ImportCommandId == null).ToListAsync(cancellation);

    /// <summary>The lane has answered: the request's receipt says the same.</summary>
    public async Task SettleAsync(
        PipelineDbContext db,
        GenerationSaga saga,
        TargetSettled settled,
        CancellationToken cancellation
    )
    {
        var target = await db.Set<GenerationTarget>().FindAsync([settled.CommandId, settled.ProjectId], cancellation);
        if (target is null || target.Outcome is not (null or Outcomes.Failed))
            return; // Said before. One that failed is settled anew by the replay of its import or save.

        var isSaved = settled.Outcome is Outcomes.Applied or Outcomes.Unchanged or Outcomes.TargetMissing;
        var announcement = isSaved
            ? Announcement.Of(
                target.Key,
                new ImageGenerated(
                    target.CommandId,
                    target.ProjectId,
                    saga.CorrelationId,
                    target.ImageId,
                    saga.Attempt - saga.AttemptsFrom,
                    Now()
                )
            )
            : Ended(saga, target, settled.Outcome, settled.Reason ?? "The picture could not be saved.");
        await DecideAsync(
            db,
            target,
            settled.Outcome,
            settled.Reason,
            settled.ProjectVersion,
            announcement,
            cancellation
        );
    }

    /// <summary>Ends every open request without a picture.</summary>
    public async Task EndAsync(
        PipelineDbContext db,
        GenerationSaga saga,
        string outcome,
        string reason,
        CancellationToken cancellation
    )
    {
        foreach (var target in await Open(db, saga.CorrelationId).ToListAsync(cancellation))
        {
            var announcement = Ended(saga, target, outcome, reason);
            await DecideAsync(db, target, outcome, reason, projectVersion: null, announcement, cancellation);
        }
    }

    /// <summary>Ends the asker's open requests, and no other's.</summary>
    public async Task WithdrawAsync(
        PipelineDbContext db,
        GenerationSaga saga,
        CancelGeneration command,
        CancellationToken cancellation
    )
    {
        const string Reason = "The request was cancelled.";
        var withdrawn = await Open(db, saga.CorrelationId, Asker.Of(command)).ToListAsync(cancellation);
        foreach (var target in withdrawn)
        {
            // Within one attempt a request may be cancelled, opened again and end once more: that is another event.
            var announcement = Ended(saga, target, Outcomes.Superseded, Reason, $" {command.CommandId}");
            await DecideAsync(db, target, Outcomes.Superseded, Reason, null, announcement, cancellation);
        }
    }

    /// <summary>The latest deadline of those who wait for the image; null where one of them set none.</summary>
    public static async Task<DateTimeOffset?> DeadlineAsync(
        PipelineDbContext db,
        Guid generationId,
        CancellationToken cancellation
    )
    {
        var deadlines = await Open(db, generationId).Select(x => x.DeadlineAt).ToListAsync(cancellation);
        return deadlines.Contains(null) ? null : deadlines.Max();
    }

    public static Task<bool> AnyRetryableAsync(
        PipelineDbContext db,
        Guid generationId,
        Asker asker,
        CancellationToken cancellation
    ) => Retryable(db, generationId, asker).AnyAsync(cancellation);

    /// <summary>
    /// Takes the end of the asker's failed and cancelled requests back, and no other's. One whose import or save failed
    /// is handed over anew; a deadline that has passed does not count any more.
    /// </summary>
    public async Task ReopenAsync(PipelineDbContext db, Guid generationId, Asker asker, CancellationToken cancellation)
    {
        var now = Now();
        foreach (var target in await Retryable(db, generationId, asker).ToListAsync(cancellation))
        {
            (target.Outcome, target.ImportCommandId, target.ToldAt) = (null, null, null);
            target.DeadlineAt = target.DeadlineAt <= now ? null : target.DeadlineAt;
        }

        await db.SaveChangesAsync(cancellation);
    }

    private async Task DecideAsync(
        PipelineDbContext db,
        GenerationTarget target,
        string outcome,
        string? reason,
        long? projectVersion,
        Announcement announcement,
        CancellationToken cancellation
    )
    {
        target.Outcome = outcome;
        var receipt = NewReceipt(
            target.CommandId,
            target.ProjectId,
            target.RequestHash,
            outcome,
            reason,
            projectVersion,
            [announcement]
        );
        await ReceiptStore.WriteAsync(db.Connection(), db.Transaction(), receipt, isTakenBack: true, cancellation);
        await AnnounceAsync(db, target.ProjectId, [announcement], cancellation);
        await db.SaveChangesAsync(cancellation);
    }

    private Announcement Ended(
        GenerationSaga saga,
        GenerationTarget target,
        string outcome,
        string reason,
        string? part = null
    )
    {
        var attempts = saga.Attempt - saga.AttemptsFrom;
        var ended = new GenerationEnded(
            target.CommandId,
            target.ProjectId,
            saga.CorrelationId,
            outcome,
            reason,
            attempts,
            Now()
        );
        // The end after a retry or a replay by a person is another event than the one before.
        return Announcement.Of(target.Key, ended, part ?? $" {saga.Attempt} {target.ImportCommandId} {outcome}");
    }

    private Receipt NewReceipt(
        Guid commandId,
        Guid projectId,
        byte[] requestHash,
        string outcome,
        string? reason,
        long? projectVersion,
        IReadOnlyList<Announcement> announcements,
        string? command = null
    ) =>
        new()
        {
            CommandId = commandId,
            Scope = projectId,
            ProjectId = projectId,
            Command = command ?? CommandName,
            RequestHash = requestHash,
            Outcome = outcome,
            Reason = reason,
            ProjectVersion = projectVersion,
            Replays = 0,
            Announcements = Announcement.Write(announcements),
            At = Now(),
        };

    // A request that was handed over and is superseded met something newer in its lane; that stays.
    private static IQueryable<GenerationTarget> Retryable(PipelineDbContext db, Guid generationId, Asker asker) =>
        Of(db, generationId, asker)
            .Where(x => x.ReleasedAt == null)
            .Where(x =>
                x.Outcome == Outcomes.Failed || (x.Outcome == Outcomes.Superseded && x.ImportCommandId == null)
            );

    private static IQueryable<GenerationTarget> Open(PipelineDbContext db, Guid generationId, Asker? asker = null) =>
        Of(db, generationId, asker).Where(x => x.Outcome == null);

    private static IQueryable<GenerationTarget> Of(PipelineDbContext db, Guid generationId, Asker? asker)
    {
        var targets = db.Set<GenerationTarget>().Where(x => x.GenerationId == generationId);
        if (asker is not null)
            targets = targets.Where(x => x.ProjectId == asker.ProjectId);
        return asker?.ImageId is { } image ? targets.Where(x => x.ImageId == image) : targets;
    }

    private static Task AnnounceAsync(
        PipelineDbContext db,
        Guid projectId,
        IReadOnlyList<Announcement> announcements,
        CancellationToken cancellation
    ) => db.AppendAsync([.. announcements.Select(x => x.ToWire(projectId))], cancellation);

    private DateTimeOffset Now() => clock.GetDatabaseNow();
}
