using Pipeline.Contracts.Deleting;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Images;

/// <summary>Makes a project and every image of it a tombstone; its scenes are kept, unseen, for a restoration.</summary>
internal static class ProjectTombstone
{
    private const string ProjectSql = """
        update pipeline.projects set deleted_at = $2, deletion_id = $3, updated_at = $2 where id = $1
        """;

    // Images that were deleted before keep their own deletion.
    private const string ImagesSql = """
        with deleted as (
            update pipeline.images
            set deleted_at = $2, deletion_id = $3, project_version = $4, updated_at = $2, object_check_at = null
            where project_id = $1 and deleted_at is null returning id)
        select count(*)::int from deleted
        """;

    /// <param name="transaction">The lane's; the project is not deleted yet.</param>
    /// <param name="entry">The command that deletes it.</param>
    /// <param name="grace">How long it can be restored.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <returns>The project's version with this change, and the event.</returns>
    public static async Task<(long Version, Announcement Event)> ApplyAsync(
        LaneTransaction transaction,
        LaneEntry entry,
        TimeSpan grace,
        CancellationToken cancellation
    )
    {
        var version = transaction.NextVersion(entry.ProjectId);
        var deletionId = DeletionQueue.AddProject(transaction, entry, grace);
        transaction.Write(ProjectSql, entry.ProjectId, transaction.Now, deletionId);
        LifecyclePlace.OfProject(transaction, entry);
        transaction.SetDeletedAt(entry.ProjectId, transaction.Now);
        object[] parameters = [entry.ProjectId, transaction.Now, deletionId, version];
        int images;
        await using (var row = await transaction.ReadAsync([(ImagesSql, parameters)], cancellation))
        {
            await row.ReadAsync(cancellation);
            images = row.GetInt32(0);
        }

        var tombstoned = new ProjectTombstoned(
            entry.CommandId,
            entry.ProjectId,
            version,
            images,
            deletionId,
            transaction.Now
        );
        return (version, Announcement.Of(entry.Key, tombstoned));
    }
}
