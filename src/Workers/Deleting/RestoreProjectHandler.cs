using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Deleting;

/// <summary>Takes a project's deletion back, with the pictures that went with it, as long as the purge has not begun.</summary>
internal sealed class RestoreProjectHandler : LaneHandler<RestoreProject>
{
    private const string ProjectSql = """
        select p.purge_started_at is not null or p.erased_at is not null,
               coalesce((select array_agg(i.id) from pipeline.images i
                         where i.project_id = p.id and i.deletion_id = p.deletion_id), '{}')
        from pipeline.projects p where p.id = $1
        """;

    private const string RestoreSql = """
        update pipeline.projects set deleted_at = null, deletion_id = null, updated_at = $2 where id = $1
        """;

    private const string WakeSql = """
        update pipeline.deletions d set due_at = $2
        from pipeline.projects p
        where p.id = $1 and d.correlation_id = p.deletion_id and d.current_state = 'Tombstoned'
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

    protected override string? Refuse(RestoreProject command) => null;

    private static async Task ApplyAsync(LaneTransaction transaction, LaneEntry entry, CancellationToken cancellation)
    {
        if (await LifecyclePlace.IsOvertakenAsync(transaction, entry, cancellation))
        {
            entry.Supersede(LifecyclePlace.OlderReason, transaction.Now);
            return;
        }

        if (transaction.DeletedAt(entry.ProjectId) is not { } deletedAt)
        {
            LifecyclePlace.OfProject(transaction, entry);
            var now = transaction.Version(entry.ProjectId);
            entry.Decide(Outcomes.Unchanged, reason: null, now, transaction.Now);
            return;
        }

        bool isPurging;
        Guid[] images;
        await using (var row = await transaction.ReadAsync([(ProjectSql, [entry.ProjectId])], cancellation))
        {
            await row.ReadAsync(cancellation);
            isPurging = row.GetBoolean(0);
            images = row.GetFieldValue<Guid[]>(1);
        }

        if (isPurging)
        {
            entry.Supersede($"The purge of the project deleted at {deletedAt:O} has begun.", transaction.Now);
            return;
        }

        LifecyclePlace.OfProject(transaction, entry);
        var version = transaction.NextVersion(entry.ProjectId);
        transaction.Write(WakeSql, entry.ProjectId, transaction.Now);
        transaction.Write(RestoreSql, entry.ProjectId, transaction.Now);
        transaction.SetDeletedAt(entry.ProjectId, deletedAt: null);
        var told = new ProjectRestored(entry.CommandId, entry.ProjectId, version, images.Length, transaction.Now);
        object[] parameters = [images, version, transaction.Now];
        var restored = await RestoredPictures.ReadAsync(transaction, entry, parameters, cancellation);
        entry.Decide(
            Outcomes.Applied,
            reason: null,
            version,
            transaction.Now,
            [Announcement.Of(entry.Key, told), .. restored]
        );
    }
}
