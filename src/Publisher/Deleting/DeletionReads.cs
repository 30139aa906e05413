using Npgsql;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Deleting;

/// <summary>A row of <c>status.deletions</c>.</summary>
/// <param name="Kind"><c>image</c>, <c>project</c>, or <c>object</c>: bytes that no row names any more.</param>
/// <param name="Failures">Since the last step that succeeded.</param>
/// <param name="KeysLeft">Objects that are not known to be gone.</param>
internal sealed record DeletionRow(
    Guid Id,
    string State,
    string Kind,
    Guid ProjectId,
    Guid? ImageId,
    string? ObjectKey,
    Guid CommandId,
    int Attempt,
    int Failures,
    DateTimeOffset? FailingSince,
    string? FailureReason,
    DateTimeOffset? DueAt,
    long KeysLeft,
    long KeysPurged,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt
);

/// <summary>An object that a deletion has to do with.</summary>
/// <param name="Reason">Why the store still has it.</param>
internal sealed record DeletionKeyRow(string Key, DateTimeOffset? PurgedAt, string? Reason);

/// <summary>Deletions and what is left of them.</summary>
internal sealed class DeletionReads(StatusDatabase database)
{
    /// <summary>Keys of one deletion that are shown.</summary>
    public const int KeyLimit = 1_000;

    private const string Deletions = """
        select id, state, kind, project_id, image_id, object_key, command_id, attempt, failures, failing_since,
               failure_reason, due_at, keys_left, keys_purged, created_at, updated_at
        from status.deletions
        """;

    /// <param name="project">Only of this project; null for all.</param>
    /// <param name="failedOnly">Only what was given up.</param>
    /// <param name="page">Newest first.</param>
    /// <param name="cancellation">Ends the query.</param>
    public Task<List<DeletionRow>> ListAsync(
        Guid? project,
        bool failedOnly,
        Page page,
        CancellationToken cancellation
    ) =>
        database.ReadAsync(
            $"""
            {Deletions} where ($1::uuid is null or project_id = $1) and (not $2 or state = 'Failed')
            order by created_at desc, id limit $3 offset $4
            """,
            Deletion,
            cancellation,
            project,
            failedOnly,
            page.Limit,
            page.Offset
        );

    public async Task<DeletionRow?> FindAsync(Guid id, CancellationToken cancellation) =>
        (await database.ReadAsync($"{Deletions} where id = $1", Deletion, cancellation, id)).FirstOrDefault();

    /// <summary>The objects of an open deletion; those that are left first.</summary>
    public Task<List<DeletionKeyRow>> KeysAsync(Guid id, CancellationToken cancellation) =>
        database.ReadAsync(
            """
            select key, purged_at, reason from status.deletion_keys where deletion_id = $1
            order by purged_at nulls first, key limit $2
            """,
            x => new DeletionKeyRow(x.GetString(0), x.Nullable<DateTimeOffset>(1), x.Text(2)),
            cancellation,
            id,
            KeyLimit
        );

    private static DeletionRow Deletion(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetString(1),
            x.GetString(2),
            x.GetGuid(3),
            x.Nullable<Guid>(4),
            x.Text(5),
            x.GetGuid(6),
            x.GetInt32(7),
            x.GetInt32(8),
            x.Nullable<DateTimeOffset>(9),
            x.Text(10),
            x.Nullable<DateTimeOffset>(11),
            x.GetInt64(12),
            x.GetInt64(13),
            x.Instant(14),
            x.Instant(15)
        );
}
