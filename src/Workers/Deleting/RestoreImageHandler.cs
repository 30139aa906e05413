using Npgsql;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Deleting;

/// <summary>Takes a picture's deletion back, as long as the purge has not begun.</summary>
internal sealed class RestoreImageHandler : LaneHandler<RestoreImage>
{
    private const string ImageSql = $"""
        select {ImageState.Columns}, purge_started_at is not null, lifecycle_place from pipeline.images where id = $1
        """;

    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        foreach (var entry in run)
            await ApplyAsync(transaction, entry, entry.As<RestoreImage>(), cancellation);
    }

    protected override string? Refuse(RestoreImage command) => null;

    private static async Task ApplyAsync(
        LaneTransaction transaction,
        LaneEntry entry,
        RestoreImage command,
        CancellationToken cancellation
    )
    {
        ImageState? image;
        bool isPurging;
        long lastWord;
        await using (var row = await transaction.ReadAsync([(ImageSql, [command.ImageId])], cancellation))
        {
            image = await row.ReadAsync(cancellation) ? ImageState.Read(row) : null;
            isPurging = image is not null && row.GetBoolean(ImageState.ColumnCount);
            lastWord = image is null ? 0 : row.GetInt64(ImageState.ColumnCount + 1);
        }

        if (transaction.DeletedAt(command.ProjectId) is { } projectDeletedAt)
            entry.Supersede($"The project was deleted at {projectDeletedAt:O}; restore it.", transaction.Now);
        else if (image is null)
            Miss(transaction, entry);
        else if (image.ProjectId != command.ProjectId)
            entry.Reject("imageId: belongs to another project.", transaction.Now);
        else if (entry.IsOlderThan(lastWord))
            entry.Supersede(LifecyclePlace.OlderReason, transaction.Now);
        else if (image.DeletedAt is not { } deletedAt)
        {
            entry.Decide(Outcomes.Unchanged, reason: null, image.ProjectVersion, transaction.Now);
            LifecyclePlace.OfImage(transaction, entry, image.Id);
        }
        else if (isPurging)
            entry.Supersede($"The purge of the picture deleted at {deletedAt:O} has begun.", transaction.Now);
        else
        {
            LifecyclePlace.OfImage(transaction, entry, image.Id);
            var version = transaction.NextVersion(command.ProjectId);
            object[] parameters = [new[] { image.Id }, version, transaction.Now];
            var restored = await RestoredPictures.ReadAsync(transaction, entry, parameters, cancellation);
            entry.Decide(Outcomes.Applied, reason: null, version, transaction.Now, restored);
        }
    }

    private static void Miss(LaneTransaction transaction, LaneEntry entry)
    {
        const string Reason = "imageId: there is no such picture.";
        var told = new CommandRejected(entry.CommandId, entry.ProjectId, entry.Name, Reason, transaction.Now);
        entry.Decide(
            Outcomes.TargetMissing,
            Reason,
            projectVersion: null,
            transaction.Now,
            Announcement.Of(entry.Key, told)
        );
    }
}

/// <summary>Brings tombstones back, each to where it stands now: its scene may have gone, or come.</summary>
internal static class RestoredPictures
{
    private const string RestoreSql = $"""
        update pipeline.images i
        set deleted_at = null, deletion_id = null, project_version = $2, updated_at = $3,
            scene_id = coalesce(i.scene_id, (
                select s.scene_id from pipeline.scenes s
                where s.project_id = i.project_id and s.index = i.scene_index)),
            object_check_at = case
                when i.object_seen or exists (select from pipeline.purged_objects o where o.key = i.object_key) then null
                else $3::timestamptz
            end,
            object_checks = 0,
            placed = i.object_seen and (i.scene_id is null and i.scene_index is null or exists (
                select from pipeline.scenes s
                where s.project_id = i.project_id
                    and (s.scene_id = i.scene_id or i.scene_id is null and s.index = i.scene_index)))
        where i.id = any($1)
        returning {ImageState.Columns}, i.scene_id is null and i.scene_index is null or exists (
            select from pipeline.scenes s where s.project_id = i.project_id and s.scene_id = i.scene_id)
        """;

    // Its deletion finds out by itself; sooner where it is woken.
    private const string WakeSql = """
        update pipeline.deletions d set due_at = $2
        from pipeline.images i
        where i.id = any($1) and d.correlation_id = i.deletion_id and d.kind = 'image' and d.current_state = 'Tombstoned'
        """;

    /// <param name="transaction">The lane's.</param>
    /// <param name="entry">The command that restores.</param>
    /// <param name="parameters">The pictures' ids, the project's next version, the time.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <returns>What tells where each picture stands.</returns>
    public static async Task<List<Announcement>> ReadAsync(
        LaneTransaction transaction,
        LaneEntry entry,
        object[] parameters,
        CancellationToken cancellation
    )
    {
        transaction.Write(WakeSql, parameters[0], transaction.Now);
        var restored = new List<Announcement>();
        await using (var row = await transaction.ReadAsync([(RestoreSql, parameters)], cancellation))
        {
            while (await row.ReadAsync(cancellation))
            {
                var isSceneThere = row.GetBoolean(ImageState.ColumnCount);
                restored.Add(ImageState.Read(row).Announce(entry.Key, transaction.Now, isSceneThere));
            }
        }

        return restored;
    }
}
