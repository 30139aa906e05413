using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Saving;

/// <summary>A picture that gets other bytes now.</summary>
/// <param name="Image">As it was.</param>
/// <param name="Picture">The new bytes.</param>
/// <param name="IsStored">They have been seen in the store.</param>
/// <param name="IsSceneThere">The picture's scene exists, or none is wanted.</param>
internal sealed record Replacement(ImageState Image, Picture Picture, bool IsStored, bool IsSceneThere)
{
    public const string ForgetSql = "delete from pipeline.image_replacements where image_id = $1";

    private const string AwaitSql = """
        insert into pipeline.image_replacements
            (image_id, project_id, command_id, object_key, sha256, content_type, byte_length, width, height,
             object_check_at, requested_at, place)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, coalesce($11, nextval('pipeline.places')))
        on conflict (image_id) do update
            set command_id = excluded.command_id, object_key = excluded.object_key, sha256 = excluded.sha256,
                content_type = excluded.content_type, byte_length = excluded.byte_length, width = excluded.width,
                height = excluded.height, object_checks = 0, object_check_at = excluded.object_check_at,
                requested_at = excluded.requested_at, place = excluded.place
        """;

    // Bytes that were awaited have the place of the command that wished for them.
    private const string UpdateSql = """
        update pipeline.images
        set version = $2, object_key = $3, sha256 = $4, content_type = $5, byte_length = $6, width = $7, height = $8,
            object_seen = $9, object_checks = 0, object_check_at = case when $9 then null else $12::timestamptz end,
            placed = $10, project_version = $11, updated_at = $12,
            place = coalesce(
                $13,
                (select place from pipeline.image_replacements r where r.image_id = $1 and r.object_key = $3),
                nextval('pipeline.places'))
        where id = $1
        """;

    /// <summary>Keeps the bytes that the picture gets once they are seen; an earlier wish is forgotten.</summary>
    public static void Await(LaneTransaction transaction, LaneEntry entry, Guid imageId, Picture picture) =>
        transaction.Write(
            AwaitSql,
            imageId,
            entry.ProjectId,
            entry.CommandId,
            picture.ObjectKey,
            picture.Sha256,
            picture.ContentType,
            picture.ByteLength,
            picture.Width,
            picture.Height,
            transaction.Now,
            PlaceOf(entry)
        );

    /// <summary>Writes the next version; the earlier object's purge begins with the same commit.</summary>
    /// <returns>The picture as it is now.</returns>
    public ImageState Write(LaneTransaction transaction, LaneEntry entry, RetentionOptions retention)
    {
        var next = Image with
        {
            Version = Image.Version + 1,
            ObjectKey = Picture.ObjectKey,
            Sha256 = Picture.Sha256,
            IsStored = IsStored,
            IsPlaced = IsStored && IsSceneThere,
            ProjectVersion = transaction.NextVersion(Image.ProjectId),
        };
        transaction.Write(
            UpdateSql,
            next.Id,
            next.Version,
            next.ObjectKey,
            next.Sha256,
            Picture.ContentType,
            Picture.ByteLength,
            Picture.Width,
            Picture.Height,
            next.IsStored,
            next.IsPlaced,
            next.ProjectVersion,
            transaction.Now,
            PlaceOf(entry)
        );
        transaction.Write(ForgetSql, next.Id);
        DeletionQueue.AddShown(transaction, entry, next.Id, Image.ObjectKey, retention.Replaced);
        return next;
    }

    private static NpgsqlParameter PlaceOf(LaneEntry entry) =>
        new() { Value = (object?)entry.Place ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint };

    public void Decide(LaneTransaction transaction, LaneEntry entry, ImageState now) =>
        entry.Decide(
            now.IsPlaced ? Outcomes.Applied : Outcomes.TargetMissing,
            ImageState.Missing(IsSceneThere, IsStored) is { } missing
                ? $"Kept out of sight until there is the {missing}."
                : null,
            now.ProjectVersion,
            transaction.Now,
            now.IsPlaced
                ? Announcement.Of(
                    entry.Key,
                    new ImageReplaced(
                        entry.CommandId,
                        now.ProjectId,
                        now.ProjectVersion,
                        now.Id,
                        now.Version,
                        now.SceneId,
                        now.Slot,
                        now.ObjectKey,
                        transaction.Now
                    )
                )
                : now.Announce(entry.Key, transaction.Now, IsSceneThere)
        );
}
