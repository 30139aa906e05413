using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Saving;

/// <summary>All that decides whether a picture may get other bytes.</summary>
/// <param name="Image">The picture; null where there is none.</param>
/// <param name="IsKnown">The wanted object has been seen in the store.</param>
/// <param name="IsPurged">The wanted key was purged: it is not used again.</param>
/// <param name="AwaitedKey">Of the replacement whose object is not there yet.</param>
/// <param name="AwaitedPlace">The place of that replacement in the project's order.</param>
/// <param name="IsSceneThere">The picture's scene exists, or none is wanted.</param>
internal sealed record PictureStanding(
    ImageState? Image,
    bool IsKnown,
    bool IsPurged,
    string? AwaitedKey,
    long? AwaitedPlace,
    bool IsSceneThere
)
{
    private const string ImageSql = $"select {ImageState.Columns} from pipeline.images where id = $1";

    private const string ObjectSql = """
        select exists (select from pipeline.catalog_objects where key = $2),
               exists (select from pipeline.purged_objects where key = $2),
               (select object_key from pipeline.image_replacements where image_id = $1),
               (select place from pipeline.image_replacements where image_id = $1),
               exists (select from pipeline.images i
                       where i.id = $1 and (i.scene_id is null and i.scene_index is null or exists (
                           select from pipeline.scenes s
                           where s.project_id = i.project_id and s.scene_id = i.scene_id)))
        """;

    public static async Task<PictureStanding> ReadAsync(
        LaneTransaction transaction,
        Guid imageId,
        string objectKey,
        CancellationToken cancellation
    )
    {
        (string, object[])[] reads = [(ImageSql, [imageId]), (ObjectSql, [imageId, objectKey])];
        await using var row = await transaction.ReadAsync(reads, cancellation);
        var image = await row.ReadAsync(cancellation) ? ImageState.Read(row) : null;
        await row.NextResultAsync(cancellation);
        await row.ReadAsync(cancellation);
        return new PictureStanding(
            image,
            row.GetBoolean(0),
            row.GetBoolean(1),
            row.IsDBNull(2) ? null : row.GetString(2),
            row.IsDBNull(3) ? null : row.GetInt64(3),
            row.GetBoolean(4)
        );
    }
}
