using System.Text.Json;
using Npgsql;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Deleting;

/// <summary>A row of <c>status.erasures</c>.</summary>
/// <param name="Id">The command's id.</param>
/// <param name="State"><c>Erasing</c> or <c>Erased</c>.</param>
/// <param name="WaitsFor">What keeps it from going on; null where nothing does.</param>
/// <param name="Locations">What was found where, so far.</param>
internal sealed record ErasureRow(
    Guid Id,
    Guid ProjectId,
    string State,
    int Passes,
    string? WaitsFor,
    JsonElement Locations,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? EndedAt
);

/// <summary>Erasures of projects.</summary>
internal sealed class ErasureReads(StatusDatabase database)
{
    private const string Sql = """
        select id, project_id, state, passes, waits_for, locations::text, created_at, updated_at, ended_at
        from status.erasures where $1::uuid is null or project_id = $1
        order by created_at desc, id limit $2 offset $3
        """;

    /// <param name="project">Only of this project; null for all.</param>
    /// <param name="page">Newest first.</param>
    /// <param name="cancellation">Ends the query.</param>
    public Task<List<ErasureRow>> ListAsync(Guid? project, Page page, CancellationToken cancellation) =>
        database.ReadAsync(Sql, Erasure, cancellation, project, page.Limit, page.Offset);

    private static ErasureRow Erasure(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetGuid(1),
            x.GetString(2),
            x.GetInt32(3),
            x.Text(4),
            JsonElement.Parse(x.GetString(5)),
            x.Instant(6),
            x.Instant(7),
            x.Nullable<DateTimeOffset>(8)
        );
}
