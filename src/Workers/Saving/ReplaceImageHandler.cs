using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Saving;

/// <summary>Gives pictures other bytes. What is shown stays until the new object is known to be in the store.</summary>
internal sealed class ReplaceImageHandler(RetentionOptions retention) : LaneHandler<ReplaceImage>
{
    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        foreach (var entry in run)
        {
            var command = entry.As<ReplaceImage>();
            var standing = await PictureStanding.ReadAsync(
                transaction,
                command.ImageId,
                command.ObjectKey,
                cancellation
            );
            Decide(transaction, entry, command, standing);
        }
    }

    protected override string? Refuse(ReplaceImage command) =>
        PictureRules.Refuse(Picture.Of(command), command.ProjectId, command.ImageId);

    private void Decide(LaneTransaction transaction, LaneEntry entry, ReplaceImage command, PictureStanding standing)
    {
        var image = standing.Image;
        if (transaction.DeletedAt(command.ProjectId) is { } projectDeletedAt)
        {
            entry.Supersede($"The project was deleted at {projectDeletedAt:O}.", transaction.Now);
            Orphan(transaction, entry, command, TimeSpan.Zero);
        }
        else if (image is null)
        {
            Miss(transaction, entry);
            Orphan(transaction, entry, command, retention.Orphaned);
        }
        else if (image.ProjectId != command.ProjectId)
            entry.Reject("imageId: belongs to another project.", transaction.Now);
        else if (image.DeletedAt is { } deletedAt)
        {
            entry.Supersede($"The picture was deleted at {deletedAt:O}.", transaction.Now);
            Orphan(transaction, entry, command, TimeSpan.Zero);
        }
        else if (IsOvertaken(entry, standing, image))
        {
            entry.Supersede("The picture has been given other bytes since.", transaction.Now);
            Orphan(transaction, entry, command, retention.Orphaned);
        }
        else if (standing.IsPurged)
            entry.Reject(PurgedReason, transaction.Now);
        else if (image.ObjectKey == command.ObjectKey)
            Keep(transaction, entry, standing, image);
        else if (image.IsStored && !standing.IsKnown)
            Await(transaction, entry, command, standing, image);
        else
        {
            var replacement = new Replacement(image, Picture.Of(command), standing.IsKnown, standing.IsSceneThere);
            var shown = replacement.Write(transaction, entry, retention);
            if (standing.AwaitedKey is { } awaited && awaited != command.ObjectKey)
                DeletionQueue.AddObject(transaction, entry, image.Id, awaited, retention.Orphaned);
            replacement.Decide(transaction, entry, shown);
        }
    }

    /// <summary>Why a key is refused that was purged once: a late delete could still be on its way to it.</summary>
    public const string PurgedReason =
        "objectKey: was purged and is never used again; put the bytes under the next copy's key, or import them.";

    /// <summary>Only a command that failed and was replayed can come after a newer one.</summary>
    private static bool IsOvertaken(LaneEntry entry, PictureStanding standing, ImageState image) =>
        entry.IsOlderThan(image.Place) || standing.AwaitedPlace is { } awaited && entry.IsOlderThan(awaited);

    private static void Miss(LaneTransaction transaction, LaneEntry entry)
    {
        const string Reason = "imageId: there is no such picture; save it first.";
        var told = new CommandRejected(entry.CommandId, entry.ProjectId, entry.Name, Reason, transaction.Now);
        entry.Decide(
            Outcomes.TargetMissing,
            Reason,
            projectVersion: null,
            transaction.Now,
            Announcement.Of(entry.Key, told)
        );
    }

    /// <summary>
    /// The picture has this object. One that was on its way is not wanted any more. The same bytes under another copy's
    /// key are another object: an import takes that key where the first one is purged, or has other bytes.
    /// </summary>
    private void Keep(LaneTransaction transaction, LaneEntry entry, PictureStanding standing, ImageState image)
    {
        if (standing.AwaitedKey is { } awaited)
        {
            transaction.Write(Replacement.ForgetSql, image.Id);
            DeletionQueue.AddObject(transaction, entry, image.Id, awaited, retention.Orphaned);
        }

        entry.Decide(
            Outcomes.Unchanged,
            reason: null,
            image.ProjectVersion,
            transaction.Now,
            image.Announce(entry.Key, transaction.Now, standing.IsSceneThere)
        );
    }

    /// <summary>The newest replacement is the one that is awaited; the sweep looks for its object.</summary>
    private void Await(
        LaneTransaction transaction,
        LaneEntry entry,
        ReplaceImage command,
        PictureStanding standing,
        ImageState image
    )
    {
        if (standing.AwaitedKey is { } awaited && awaited != command.ObjectKey)
            DeletionQueue.AddObject(transaction, entry, image.Id, awaited, retention.Orphaned);
        Replacement.Await(transaction, entry, image.Id, Picture.Of(command));
        entry.Decide(
            Outcomes.TargetMissing,
            "The earlier bytes are shown until there is the object.",
            projectVersion: null,
            transaction.Now,
            Announcement.Of(
                entry.Key,
                new ReplacementAwaited(
                    entry.CommandId,
                    image.ProjectId,
                    image.Id,
                    image.Version,
                    command.ObjectKey,
                    transaction.Now
                )
            )
        );
    }

    private static void Orphan(LaneTransaction transaction, LaneEntry entry, ReplaceImage command, TimeSpan grace) =>
        DeletionQueue.AddObject(transaction, entry, command.ImageId, command.ObjectKey, grace);
}
