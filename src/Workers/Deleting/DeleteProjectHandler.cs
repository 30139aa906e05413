using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Deleting;

/// <summary>Makes a project and every picture of it a tombstone; its scenes are kept, unseen, for a restoration.</summary>
/// <remarks>
/// A project that is not there becomes one too: what is on its way to it, such as the picture of a generation, must not
/// bring it to life.
/// </remarks>
internal sealed class DeleteProjectHandler(RetentionOptions retention) : LaneHandler<DeleteProject>
{
    private const string ProjectSql = """
        update pipeline.projects set deleted_at = $2, deletion_id = $3, updated_at = $2 where id = $1
        """;

    // Pictures that were deleted before keep their own deletion.
    private const string ImagesSql = """
        with deleted as (
            update pipeline.images
            set deleted_at = $2, deletion_id = $3, project_version = $4, updated_at = $2, object_check_at = null
            where project_id = $1 and deleted_at is null returning id)
        select count(*)::int from deleted
        """;

    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        foreach (var entry in run)
            await ApplyAsync(transaction, entry, cancellation);
    }

    protected override string? Refuse(DeleteProject command) => null;

    private async Task ApplyAsync(LaneTransaction transaction, LaneEntry entry, CancellationToken cancellation)
    {
        if (transaction.DeletedAt(entry.ProjectId) is { } deletedAt)
        {
            var reason = $"The project was deleted at {deletedAt:O}.";
            entry.Decide(Outcomes.Unchanged, reason, projectVersion: null, transaction.Now);
            return;
        }

        var version = transaction.NextVersion(entry.ProjectId);
        var deletionId = DeletionQueue.AddProject(transaction, entry, retention.Deleted);
        transaction.Write(ProjectSql, entry.ProjectId, transaction.Now, deletionId);
        transaction.SetDeletedAt(entry.ProjectId, transaction.Now);
        object[] parameters = [entry.ProjectId, transaction.Now, deletionId, version];
        int images;
        await using (var row = await transaction.ReadAsync([(ImagesSql, parameters)], cancellation))
        {
            await row.ReadAsync(cancellation);
            images = row.GetInt32(0);
        }

        var told = new ProjectTombstoned(
            entry.CommandId,
            entry.ProjectId,
            version,
            images,
            deletionId,
            transaction.Now
        );
        entry.Decide(Outcomes.Applied, reason: null, version, transaction.Now, Announcement.Of(entry.Key, told));
    }
}
