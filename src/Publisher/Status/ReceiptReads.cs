using Npgsql;

namespace Pipeline.Publisher.Status;

/// <summary>How commands ended.</summary>
internal sealed class ReceiptReads(StatusDatabase database)
{
    private const string Receipts =
        "select command_id, project_id, command, outcome, reason, project_version, replays, at from status.receipts";

    public async Task<ReceiptRow?> FindAsync(Guid command, CancellationToken cancellation) =>
        (
            await database.ReadAsync($"{Receipts} where command_id = $1", Receipt, cancellation, command)
        ).FirstOrDefault();

    /// <summary>Of these commands, those that have ended.</summary>
    public Task<List<ReceiptRow>> OfAsync(Guid[] commands, CancellationToken cancellation) =>
        database.ReadAsync($"{Receipts} where command_id = any($1)", Receipt, cancellation, commands);

    /// <param name="project">Null for all projects.</param>
    /// <param name="outcome">Null for all outcomes.</param>
    /// <param name="page">Newest first.</param>
    /// <param name="cancellation">Ends the query.</param>
    public Task<List<ReceiptRow>> NewestAsync(
        Guid? project,
        string? outcome,
        Page page,
        CancellationToken cancellation
    ) =>
        database.ReadAsync(
            // Two texts, because "project is null or ..." in one would keep the index from being used.
            $"""
            {Receipts} where {(
                project is null ? "$1::uuid is null" : "project_id = $1"
            )} and ($2::text is null or outcome = $2)
            order by at desc, command_id limit $3 offset $4
            """,
            Receipt,
            cancellation,
            project,
            outcome,
            page.Limit,
            page.Offset
        );

    /// <summary>How many commands of a project ended in each way; ways that did not happen are absent.</summary>
    public async Task<SortedDictionary<string, long>> CountsAsync(Guid project, CancellationToken cancellation) =>
        new(
            (
                await database.ReadAsync(
                    "select outcome, count(*) from status.receipts where project_id = $1 group by outcome",
                    x => (Outcome: x.GetString(0), Count: x.GetInt64(1)),
                    cancellation,
                    project
                )
            ).ToDictionary(x => x.Outcome, x => x.Count, StringComparer.Ordinal),
            StringComparer.Ordinal
        );

    private static ReceiptRow Receipt(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetGuid(1),
            x.GetString(2),
            x.GetString(3),
            x.Text(4),
            x.Nullable<long>(5),
            x.GetInt32(6),
            x.Instant(7)
        );
}
