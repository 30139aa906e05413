using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Deleting;

/// <summary>Makes pictures tombstones. The purge of their bytes begins in the same transaction.</summary>
internal sealed class DeleteImageHandler(RetentionOptions retention) : LaneHandler<DeleteImage>
{
    private const string ImageSql = $"select {ImageState.Columns}, lifecycle_place from pipeline.images where id = $1";

    private const string DeleteSql = """
        update pipeline.images
        set deleted_at = $2, deletion_id = $3, project_version = $4, updated_at = $2, object_check_at = null
        where id = $1
        """;

    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        foreach (var entry in run)
        {
            var command = entry.As<DeleteImage>();
            ImageState? image = null;
            var lastWord = 0L;
            await using (var row = await transaction.ReadAsync([(ImageSql, [command.ImageId])], cancellation))
            {
                if (await row.ReadAsync(cancellation))
                    (image, lastWord) = (ImageState.Read(row), row.GetInt64(ImageState.ColumnCount));
            }

            Decide(transaction, entry, image, lastWord);
        }
    }

    protected override string? Refuse(DeleteImage command) => null;

    private void Decide(LaneTransaction transaction, LaneEntry entry, ImageState? image, long lastWord)
    {
        if (image is not null && image.ProjectId != entry.ProjectId)
            entry.Reject("imageId: belongs to another project.", transaction.Now);
        else if (image is not null && entry.IsOlderThan(lastWord))
            entry.Supersede(LifecyclePlace.OlderReason, transaction.Now);
        else if (GoneSince(transaction, entry.ProjectId, image) is { } reason)
        {
            entry.Decide(Outcomes.Unchanged, reason, projectVersion: null, transaction.Now);
            LifecyclePlace.OfImage(transaction, entry, image?.Id);
        }
        else
            Delete(transaction, entry, image!);
    }

    /// <returns>Why there is nothing to delete; null where there is.</returns>
    private static string? GoneSince(LaneTransaction transaction, Guid projectId, ImageState? image) =>
        transaction.DeletedAt(projectId) is { } projectDeletedAt ? $"The project was deleted at {projectDeletedAt:O}."
        : image is null ? "There is no such picture."
        : image.DeletedAt is { } deletedAt ? $"The picture was deleted at {deletedAt:O}."
        : null;

    private void Delete(LaneTransaction transaction, LaneEntry entry, ImageState image)
    {
        var version = transaction.NextVersion(image.ProjectId);
        var deletionId = DeletionQueue.AddImage(transaction, entry, image.Id, retention.Deleted);
        transaction.Write(DeleteSql, image.Id, transaction.Now, deletionId, version);
        LifecyclePlace.OfImage(transaction, entry, image.Id);
        var told = new ImageTombstoned(
            entry.CommandId,
            image.ProjectId,
            version,
            image.Id,
            deletionId,
            transaction.Now
        );
        entry.Decide(Outcomes.Applied, reason: null, version, transaction.Now, Announcement.Of(entry.Key, told));
    }
}
