using Npgsql;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Urls;

/// <summary>The cached URLs of pictures, and how signing them fares.</summary>
internal sealed class UrlReads(StatusDatabase database)
{
    // Workers write their variants down when they start. Before the first one has, these are there.
    private static readonly string[] AlwaysThere = ["image", "thumbnail"];

    private const string PicturesSql = """
        select i.id, i.project_id, i.version, i.object_key, i.updated_at, g.signed_at, g.refresh_after,
               coalesce(g.failures, 0), g.failure_reason, g.due_at, now(),
               u.variant, u.url, u.strategy, u.degraded, u.due, u.signed_at, u.refresh_after, u.expires_at, u.steps::text
        from status.images i
        left join status.url_signings g on g.image_id = i.id
        left join status.image_urls u on u.image_id = i.id
        where i.id = any($1) and i.state = 'shown'
        order by i.scene_index, i.scene_id, i.slot, i.project_version, i.id, u.variant
        """;

    /// <summary>Those of the pictures that are shown, by scene and slot.</summary>
    public async Task<List<PictureUrls>> OfAsync(Guid[] images, CancellationToken cancellation)
    {
        var rows = await database.ReadAsync(PicturesSql, Row, cancellation, images);
        return
        [
            .. rows.GroupBy(x => x.Picture.ImageId)
                .Select(x =>
                    x.First().Picture with
                    {
                        Urls = x.Select(y => y.Url)
                            .OfType<UrlRow>()
                            .ToDictionary(y => y.Variant, StringComparer.Ordinal),
                    }
                ),
        ];
    }

    /// <summary>Ids of a project's shown pictures, by scene and slot.</summary>
    public Task<List<Guid>> ShownAsync(Guid project, Page page, CancellationToken cancellation) =>
        database.ReadAsync(
            """
            select id from status.images where project_id = $1 and state = 'shown'
            order by scene_index, scene_id, slot, project_version, id limit $2 offset $3
            """,
            x => x.GetGuid(0),
            cancellation,
            project,
            page.Limit,
            page.Offset
        );

    /// <summary>Names of the variants that every picture has.</summary>
    public async Task<string[]> VariantNamesAsync(CancellationToken cancellation)
    {
        var known = await VariantsAsync(cancellation);
        return known.Count == 0 ? AlwaysThere : [.. known.Select(x => x.Name)];
    }

    public Task<List<UrlVariantRow>> VariantsAsync(CancellationToken cancellation) =>
        database.ReadAsync(
            "select name, chain from status.url_variants order by name",
            x => new UrlVariantRow(x.GetString(0), x.GetString(1)),
            cancellation
        );

    public async Task<UrlHealthRow> HealthAsync(CancellationToken cancellation) =>
        (
            await database.ReadAsync(
                """
                select images, unsigned, urls, degraded, expired, failing, overdue, oldest_overdue_seconds,
                       succeeded_last_day, failed_last_day
                from status.url_health
                """,
                x => new UrlHealthRow(
                    x.GetInt64(0),
                    x.GetInt64(1),
                    x.GetInt64(2),
                    x.GetInt64(3),
                    x.GetInt64(4),
                    x.GetInt64(5),
                    x.GetInt64(6),
                    x.GetInt64(7),
                    x.GetInt64(8),
                    x.GetInt64(9)
                ),
                cancellation
            )
        )[0];

    public Task<List<UrlStepRow>> StepsAsync(CancellationToken cancellation) =>
        database.ReadAsync(
            """
            select step, reason, sum(count)::bigint from status.url_steps where hour > now() - interval '1 day'
            group by step, reason order by step, reason
            """,
            x => new UrlStepRow(x.GetString(0), x.GetString(1), x.GetInt64(2)),
            cancellation
        );

    private static (PictureUrls Picture, UrlRow? Url) Row(NpgsqlDataReader x)
    {
        var picture = new PictureUrls(
            x.GetGuid(0),
            x.GetGuid(1),
            x.GetInt32(2),
            x.GetString(3),
            x.Instant(4),
            x.Nullable<DateTimeOffset>(5),
            x.Nullable<DateTimeOffset>(6),
            x.GetInt32(7),
            x.Text(8),
            x.Nullable<DateTimeOffset>(9),
            x.Instant(10),
            new Dictionary<string, UrlRow>(StringComparer.Ordinal)
        );
        return (picture, x.IsDBNull(11) ? null : Url(x, picture));
    }

    private static UrlRow Url(NpgsqlDataReader x, PictureUrls picture) =>
        new(
            x.GetString(11),
            x.GetString(12),
            UrlLinks.Of(picture.ImageId, picture.Version, x.GetString(11)),
            x.GetString(13),
            x.GetBoolean(14),
            x.GetBoolean(15),
            x.Instant(16),
            x.Instant(17),
            x.Instant(18),
            UrlRow.ReadSteps(x.GetString(19))
        );
}

/// <summary>The stable paths of pictures, as documents have them.</summary>
internal static class UrlLinks
{
    /// <summary>The variant that a path without one means.</summary>
    public const string Original = "image";

    public static string Of(Guid image, int version, string variant) =>
        variant == Original ? $"/images/{image}/{version}" : $"/images/{image}/{version}/{variant}";
}
