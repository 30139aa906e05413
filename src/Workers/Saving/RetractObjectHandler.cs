using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Reconciling;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Saving;

/// <summary>
/// Keeps a picture out of sight whose object is lost. The sweep of missing objects shows it again when it is back. An
/// object with wrong bytes is purged, beginning with the same commit: there is no moment at which it is gone and shown.
/// </summary>
internal sealed class RetractObjectHandler : LaneHandler<RetractObject>
{
    private const string ImageSql = $"select {ImageState.Columns} from pipeline.images where id = $1";

    private const string UpdateSql = """
        update pipeline.images
        set object_seen = false, placed = false, object_checks = 0,
            object_check_at = case when $4 then null else $3::timestamptz end, project_version = $2, updated_at = $3
        where id = $1
        """;

    private const string GiveUpSql = """
        insert into pipeline.purged_objects (key, image_id, purged_at) values ($1, $2, $3) on conflict do nothing
        """;

    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        foreach (var entry in run)
            await ApplyAsync(transaction, entry, entry.As<RetractObject>(), cancellation);
    }

    protected override string? Refuse(RetractObject command) => null; // The workers make it themselves.

    private static async Task ApplyAsync(
        LaneTransaction transaction,
        LaneEntry entry,
        RetractObject command,
        CancellationToken cancellation
    )
    {
        var image = await FindAsync(transaction, command.ImageId, cancellation);
        if (image is null || image.DeletedAt is not null || image.ObjectKey != command.ObjectKey)
        {
            entry.Supersede("The picture no longer has this object.", transaction.Now);
            return;
        }

        if (!image.IsStored && !command.Purge)
        {
            entry.Decide(Outcomes.Unchanged, reason: null, image.ProjectVersion, transaction.Now, []);
            return;
        }

        var hidden = image with
        {
            IsStored = false,
            IsPlaced = false,
            ProjectVersion = transaction.NextVersion(image.ProjectId),
        };
        transaction.Write(UpdateSql, hidden.Id, hidden.ProjectVersion, transaction.Now, command.Purge);
        if (command.Purge)
        {
            transaction.Write(GiveUpSql, command.ObjectKey, hidden.Id, transaction.Now);
            DeletionQueue.AddObject(transaction, entry, hidden.Id, command.ObjectKey, TimeSpan.Zero);
        }

        entry.Decide(
            Outcomes.Applied,
            reason: null,
            hidden.ProjectVersion,
            transaction.Now,
            // A picture that was not shown waits for its scene as well.
            hidden.Announce(entry.Key, transaction.Now, isSceneThere: image.IsPlaced)
        );
    }

    private static async Task<ImageState?> FindAsync(
        LaneTransaction transaction,
        Guid imageId,
        CancellationToken cancellation
    )
    {
        await using var row = await transaction.ReadAsync([(ImageSql, [imageId])], cancellation);
        return await row.ReadAsync(cancellation) ? ImageState.Read(row) : null;
    }
}
