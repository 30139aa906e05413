using Npgsql;

namespace Pipeline.Publisher.Status;

/// <summary>Projects, their documents and their pictures.</summary>
internal sealed class ProjectReads(StatusDatabase database)
{
    private const string Projects =
        "select id, version, created_at, updated_at, scenes, images, waiting, receipts from status.projects";

    private const string Images = """
        select id, project_id, scene_id, scene_index, slot, version, object_key, sha256, content_type, byte_length,
               width, height, state, waits_for, project_version, saved_at, updated_at, deleted_at
        from status.images
        """;

    public Task<List<ProjectRow>> NewestAsync(Page page, CancellationToken cancellation) =>
        database.ReadAsync(
            $"{Projects} order by updated_at desc, id limit $1 offset $2",
            Project,
            cancellation,
            page.Limit,
            page.Offset
        );

    public async Task<ProjectRow?> FindAsync(Guid project, CancellationToken cancellation) =>
        (await database.ReadAsync($"{Projects} where id = $1", Project, cancellation, project)).FirstOrDefault();

    /// <summary>The version alone, which costs one index look-up: a poller mostly needs no more.</summary>
    public async Task<long?> VersionAsync(Guid project, CancellationToken cancellation) =>
        (
            await database.ReadAsync<long?>(
                "select version from status.projects where id = $1",
                x => x.GetInt64(0),
                cancellation,
                project
            )
        ).FirstOrDefault();

    public async Task<DocumentRow?> DocumentAsync(Guid project, CancellationToken cancellation) =>
        (
            await database.ReadAsync(
                "select version, document::text from status.project_documents where project_id = $1",
                x => new DocumentRow(x.GetInt64(0), x.GetString(1)),
                cancellation,
                project
            )
        ).FirstOrDefault();

    /// <param name="project">The project.</param>
    /// <param name="state"><c>shown</c>, <c>waiting</c>, <c>deleted</c>; null for all.</param>
    /// <param name="page">By scene, slot and id.</param>
    /// <param name="cancellation">Ends the query.</param>
    public Task<List<ImageRow>> ImagesAsync(Guid project, string? state, Page page, CancellationToken cancellation) =>
        database.ReadAsync(
            $"""
            {Images} where project_id = $1 and ($2::text is null or state = $2)
            order by scene_index, scene_id, slot, project_version, id limit $3 offset $4
            """,
            Image,
            cancellation,
            project,
            state,
            page.Limit,
            page.Offset
        );

    public async Task<ImageRow?> ImageAsync(Guid image, CancellationToken cancellation) =>
        (await database.ReadAsync($"{Images} where id = $1", Image, cancellation, image)).FirstOrDefault();

    /// <summary>Shown pictures beyond the first of each place: more than one in the same slot of the same scene.</summary>
    public async Task<long> DuplicatesAsync(Guid project, CancellationToken cancellation) =>
        (
            await database.ReadAsync(
                """
                select coalesce(sum(n - 1), 0)::bigint
                from (select count(*) as n from status.images where project_id = $1 and state = 'shown'
                      group by scene_id, slot having count(*) > 1) as places
                """,
                x => x.GetInt64(0),
                cancellation,
                project
            )
        )[0];

    private static ProjectRow Project(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetInt64(1),
            x.Instant(2),
            x.Instant(3),
            x.GetInt64(4),
            x.GetInt64(5),
            x.GetInt64(6),
            x.GetInt64(7)
        );

    private static ImageRow Image(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetGuid(1),
            x.Text(2),
            x.Nullable<int>(3),
            x.GetInt32(4),
            x.GetInt32(5),
            x.GetString(6),
            x.GetString(7),
            x.GetString(8),
            x.GetInt64(9),
            x.GetInt32(10),
            x.GetInt32(11),
            x.GetString(12),
            x.Text(13),
            x.GetInt64(14),
            x.Instant(15),
            x.Instant(16),
            x.Nullable<DateTimeOffset>(17)
        );
}
