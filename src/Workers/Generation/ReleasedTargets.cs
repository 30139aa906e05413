using Microsoft.EntityFrameworkCore;
using Npgsql;
using Pipeline.Workers.Images;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>
/// Requests whose image is being purged: they need the generation no more. The rows of projects and images say which
/// ones, so that it does not matter how often or when they are looked for.
/// </summary>
internal static class ReleasedTargets
{
    /// <summary>Why a request for such an image ends.</summary>
    public const string Reason = "The project or the image was deleted.";

    private const string IsPurged = """
        (exists (select from pipeline.projects p where p.id = t.project_id and p.purge_started_at is not null)
         or exists (select from pipeline.images i
                    where i.id = t.image_id and i.project_id = t.project_id and i.purge_started_at is not null))
        """;

    // The scene's id is its sender's text.
    private const string ReleaseSql = $"""
        update pipeline.generation_targets t set released_at = $2, scene_id = null
        where t.generation_id = $1 and t.outcome is not null and t.released_at is null and {IsPurged}
        """;

    private const string AnyToReleaseSql = $"""
        select exists (select from pipeline.generation_targets t
            where t.generation_id = $1 and ($2::uuid is null or t.command_id = $2)
                and t.outcome is not null and t.released_at is null and {IsPurged})
        """;

    /// <summary>True from the moment that the image cannot be restored any more.</summary>
    public static async Task<bool> IsPurgedAsync(
        PipelineDbContext db,
        Guid projectId,
        Guid imageId,
        CancellationToken cancellation
    ) =>
        await db.Set<Project>().AnyAsync(x => x.Id == projectId && x.PurgeStartedAt != null, cancellation)
        || await db.Set<Image>()
            .AnyAsync(x => x.Id == imageId && x.ProjectId == projectId && x.PurgeStartedAt != null, cancellation);

    /// <summary>Releases the requests that have ended and whose image is being purged.</summary>
    public static async Task ReleaseAsync(
        PipelineDbContext db,
        Guid generationId,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(ReleaseSql, db.Connection(), db.Transaction());
        command.Parameters.AddWithValue(generationId);
        command.Parameters.AddWithValue(at);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Whether <see cref="ReleaseAsync"/> would find one.</summary>
    /// <param name="db">The saga's.</param>
    /// <param name="generationId">The generation.</param>
    /// <param name="commandId">Looks at this request only; null for all of them.</param>
    /// <param name="cancellation">The caller's.</param>
    public static async Task<bool> AnyToReleaseAsync(
        PipelineDbContext db,
        Guid generationId,
        Guid? commandId,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(AnyToReleaseSql, db.Connection(), db.Transaction());
        command.Parameters.AddWithValue(generationId);
        command.Parameters.AddWithValue((object?)commandId ?? DBNull.Value);
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>Whether any request still needs the generation, be it open or ended.</summary>
    public static Task<bool> AnyKeptAsync(PipelineDbContext db, Guid generationId, CancellationToken cancellation) =>
        db.Set<GenerationTarget>().AnyAsync(x => x.GenerationId == generationId && x.ReleasedAt == null, cancellation);
}
