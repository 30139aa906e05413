using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Saving;

/// <summary>Shows a picture, or its awaited next bytes, once the object has come into the store.</summary>
internal sealed class ConfirmObjectHandler(RetentionOptions retention) : LaneHandler<ConfirmObject>
{
    private const string ImageSql = $"select {ImageState.Columns} from pipeline.images where id = $1";

    private const string AwaitedSql = """
        select object_key, sha256, content_type, byte_length, width, height
        from pipeline.image_replacements where image_id = $1 and object_key = $2
        """;

    private const string PurgedSql = "select from pipeline.purged_objects where key = $1";

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

    private async Task ApplyAsync(
        LaneTransaction transaction,
        LaneEntry entry,
        ConfirmObject command,
        CancellationToken cancellation
    )
    {
        var image = await FindAsync(transaction, command.ImageId, cancellation);
        var isDeleted = image?.DeletedAt is not null || transaction.DeletedAt(command.ProjectId) is not null;
        var awaited = image is null || isDeleted ? null : await AwaitedAsync(transaction, command, cancellation);
        if (image is null || isDeleted || (image.ObjectKey != command.ObjectKey && awaited is null))
        {
            entry.Supersede("The picture no longer waits for this object.", transaction.Now);
            return;
        }

        if (await IsPurgedAsync(transaction, command.ObjectKey, cancellation))
        {
            entry.Supersede("The object is being purged, and its key is not used again.", transaction.Now);
            return;
        }

        var scene = await LookUpAsync(transaction, image, cancellation);
        if (awaited is not null)
        {
            var replacement = new Replacement(image, awaited, IsStored: true, scene.IsThere);
            replacement.Decide(transaction, entry, replacement.Write(transaction, entry, retention));
            return;
        }

        if (image.IsStored)
        {
            entry.Decide(
                Outcomes.Unchanged,
                reason: null,
                image.ProjectVersion,
                transaction.Now,
                image.Announce(entry.Key, transaction.Now, scene.IsThere)
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
            shown.Announce(entry.Key, transaction.Now, scene.IsThere)
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

    // The sweep may have seen an object with wrong bytes before its picture was retracted.
    private static async Task<bool> IsPurgedAsync(
        LaneTransaction transaction,
        string key,
        CancellationToken cancellation
    )
    {
        await using var row = await transaction.ReadAsync([(PurgedSql, [key])], cancellation);
        return await row.ReadAsync(cancellation);
    }

    private static async Task<Picture?> AwaitedAsync(
        LaneTransaction transaction,
        ConfirmObject command,
        CancellationToken cancellation
    )
    {
        (string, object[])[] reads = [(AwaitedSql, [command.ImageId, command.ObjectKey])];
        await using var row = await transaction.ReadAsync(reads, cancellation);
        return await row.ReadAsync(cancellation)
            ? new Picture(
                row.GetString(0),
                row.GetString(1),
                row.GetString(2),
                row.GetInt64(3),
                row.GetInt32(4),
                row.GetInt32(5)
            )
            : null;
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
