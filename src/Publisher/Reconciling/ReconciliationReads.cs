using System.Runtime.CompilerServices;
using System.Text.Json;
using Npgsql;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Reconciling;

/// <summary>A comparison of the stores, or a repair of what one has found.</summary>
internal sealed record ReconciliationRow(
    Guid Id,
    string Bucket,
    string State,
    Guid? RepairOf,
    DateTimeOffset Cutoff,
    bool ReadBytes,
    long Objects,
    long Rows,
    long Findings,
    IReadOnlyDictionary<string, long> Kinds,
    string? WaitsFor,
    string? FailureReason,
    DateTimeOffset StartedAt,
    DateTimeOffset? EndedAt
);

/// <summary>One thing that does not agree, and what became of its repair.</summary>
internal sealed record FindingRow(
    int Number,
    string Kind,
    string Key,
    Guid? ProjectId,
    Guid? ImageId,
    string Detail,
    string? RepairCommand,
    Guid? RepairCommandId,
    string? RepairOutcome,
    string? RepairReason
);

/// <summary>Reads reconciliations.</summary>
internal sealed class ReconciliationReads(StatusDatabase database)
{
    private const string Columns = """
        select id, bucket, state, repair_of, cutoff, read_bytes, objects, rows, findings, kinds::text, waits_for,
               failure_reason, started_at, ended_at
        from status.reconciliations
        """;

    private const string Findings = """
        select number, kind, key, project_id, image_id, detail, repair_command, repair_command_id, repair_outcome,
               repair_reason
        from status.reconciliation_findings
        where reconciliation_id = $1 order by number limit $2 offset $3
        """;

    public async Task<ReconciliationRow?> FindAsync(Guid id, CancellationToken cancellation) =>
        (await database.ReadAsync($"{Columns} where id = $1", Row, cancellation, id)).FirstOrDefault();

    public Task<List<ReconciliationRow>> NewestAsync(Page page, CancellationToken cancellation) =>
        database.ReadAsync(
            $"{Columns} order by started_at desc limit $1 offset $2",
            Row,
            cancellation,
            page.Limit,
            page.Offset
        );

    public Task<List<FindingRow>> FindingsAsync(Guid id, Page page, CancellationToken cancellation) =>
        database.ReadAsync(Findings, Finding, cancellation, id, page.Limit, page.Offset);

    /// <summary>Every finding, a page at a time.</summary>
    public async IAsyncEnumerable<FindingRow> AllFindingsAsync(
        Guid id,
        [EnumeratorCancellation] CancellationToken cancellation
    )
    {
        for (var page = new Page(Page.LimitMax); ; page = page with { Offset = page.Offset + page.Limit })
        {
            var findings = await FindingsAsync(id, page, cancellation);
            foreach (var finding in findings)
                yield return finding;
            if (findings.Count < page.Limit)
                yield break;
        }
    }

    private static ReconciliationRow Row(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetString(1),
            x.GetString(2),
            x.Nullable<Guid>(3),
            x.Instant(4),
            x.GetBoolean(5),
            x.GetInt64(6),
            x.GetInt64(7),
            x.GetInt64(8),
            JsonSerializer.Deserialize<Dictionary<string, long>>(x.GetString(9)) ?? [],
            x.Text(10),
            x.Text(11),
            x.Instant(12),
            x.Nullable<DateTimeOffset>(13)
        );

    private static FindingRow Finding(NpgsqlDataReader x) =>
        new(
            x.GetInt32(0),
            x.GetString(1),
            x.GetString(2),
            x.Nullable<Guid>(3),
            x.Nullable<Guid>(4),
            x.GetString(5),
            x.Text(6),
            x.Nullable<Guid>(7),
            x.Text(8),
            x.Text(9)
        );
}
