using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Projects;

namespace Pipeline.Workers.Saving;

/// <summary>Shows a picture whose object has come into the store, if its scene is there too.</summary>
internal sealed class ConfirmObjectHandler : LaneHandler<ConfirmObject>
{
    private const string ImageSql = $"select {ImageState.Columns} from pipeline.images where id = $1";

    private const string UpdateSql = """
        update pipeline.images
        set object_seen = true, object_check_at = null, placed = $2, project_version = $3, updated_at = $4
        where id = $1
        """;

    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        foreach (var entry in run)
            await ApplyAsync(transaction, entry, entry.As<ConfirmObject>(), cancellation);
    }

    protected override string? Refuse(ConfirmObject command) => null; // The workers make it themselves.

    private static async Task ApplyAsync(
        LaneTransaction transaction,
        LaneEntry entry,
        ConfirmObject command,
        CancellationToken cancellation
    )
    {
        var image = await FindAsync(transaction, command.ImageId, cancellation);
        if (image is null || image.DeletedAt is not null || image.ObjectKey != command.ObjectKey)
        {
            entry.Supersede("The picture no longer waits for this object.", transaction.Now);
            return;
        }

        var scene = await LookUpAsync(transaction, image, cancellation);
        if (image.IsStored)
        {
            entry.Decide(
                Outcomes.Unchanged,
                reason: null,
                image.ProjectVersion,
                transaction.Now,
                image.Announce(entry.CommandId, transaction.Now, scene.IsThere)
            );
            return;
        }

        var shown = image with
        {
            IsStored = true,
            IsPlaced = scene.IsThere,
            ProjectVersion = transaction.NextVersion(image.ProjectId),
        };
        transaction.Write(UpdateSql, shown.Id, shown.IsPlaced, shown.ProjectVersion, transaction.Now);
        entry.Decide(
            Outcomes.Applied,
            reason: null,
            shown.ProjectVersion,
            transaction.Now,
            shown.Announce(entry.CommandId, transaction.Now, scene.IsThere)
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

    private static async Task<SceneLookup> LookUpAsync(
        LaneTransaction transaction,
        ImageState image,
        CancellationToken cancellation
    )
    {
        // A known scene is meant by its id alone; its place may have changed since.
        var index = image.SceneId is null ? image.SceneIndex : null;
        var query = SceneLookup.Query([(image.ProjectId, image.SceneId, index)]);
        await using var row = await transaction.ReadAsync([query], cancellation);
        await row.ReadAsync(cancellation);
        return SceneLookup.Read(row);
    }
}
