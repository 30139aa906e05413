using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Receipts;
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
        if (await LifecyclePlace.IsOvertakenAsync(transaction, entry, cancellation))
        {
            entry.Supersede(LifecyclePlace.OlderReason, transaction.Now);
            return;
        }

        if (transaction.DeletedAt(entry.ProjectId) is { } deletedAt)
        {
            LifecyclePlace.OfProject(transaction, entry);
            var reason = $"The project was deleted at {deletedAt:O}.";
            entry.Decide(Outcomes.Unchanged, reason, projectVersion: null, transaction.Now);
            return;
        }

        var (version, tombstoned) = await ProjectTombstone.ApplyAsync(
            transaction,
            entry,
            retention.Deleted,
            cancellation
        );
        entry.Decide(Outcomes.Applied, reason: null, version, transaction.Now, tombstoned);
    }
}
