using Npgsql;
using Pipeline.Wire;

namespace Pipeline.Publisher.Status;

/// <summary>How commands ended.</summary>
internal sealed class ReceiptReads(StatusDatabase database)
{
    public const string Columns = """
        r.command_id, r.project_id, r.command, r.outcome, r.reason, r.project_version, r.replays, r.at, r.follow_up_id,
        r.scope
        """;

    private const string Receipts = $"select {Columns} from status.receipts r";

    private const string KeyedReceipts = $"""
        select {Columns} from unnest($1, $2) as k (scope, command_id)
        join status.receipts r on r.command_id = k.command_id and r.scope = k.scope
        """;

    private const string NewestSql = $"""
        {Receipts} where $1::uuid is null and ($2::text is null or r.outcome = $2)
        order by r.at desc, r.command_id limit $3 offset $4
        """;

    private const string NewestOfProjectSql = $"""
        {Receipts} where r.project_id = $1 and ($2::text is null or r.outcome = $2)
        order by r.at desc, r.command_id limit $3 offset $4
        """;

    public async Task<ReceiptRow?> FindAsync(CommandKey command, CancellationToken cancellation) =>
        (await OfAsync([command], cancellation)).FirstOrDefault();

    /// <summary>Of these commands, those that have ended.</summary>
    public Task<List<ReceiptRow>> OfAsync(IReadOnlyCollection<CommandKey> commands, CancellationToken cancellation) =>
        database.ReadAsync(
            KeyedReceipts,
            Read,
            cancellation,
            commands.Select(x => x.Scope).ToArray(),
            commands.Select(x => x.CommandId).ToArray()
        );

    /// <summary>Of these commands of one project, those that have ended.</summary>
    public Task<List<ReceiptRow>> OfAsync(Guid project, IEnumerable<Guid> commands, CancellationToken cancellation) =>
        OfAsync([.. commands.Select(x => new CommandKey(project, x))], cancellation);

    /// <summary>Every command of this id, for people who look for one: there may be one in each project.</summary>
    public Task<List<ReceiptRow>> WithIdAsync(Guid command, Page page, CancellationToken cancellation) =>
        database.ReadAsync(
            $"{Receipts} where r.command_id = $1 order by r.at desc limit $2 offset $3",
            Read,
            cancellation,
            command,
            page.Limit,
            page.Offset
        );

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
            project is null
                ? NewestSql
                : NewestOfProjectSql,
            Read,
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

    /// <summary>Reads <see cref="Columns"/>.</summary>
    public static ReceiptRow Read(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetGuid(1),
            x.GetString(2),
            x.GetString(3),
            x.Text(4),
            x.Nullable<long>(5),
            x.GetInt32(6),
            x.Instant(7),
            x.Nullable<Guid>(8)
        )
        {
            Key = new CommandKey(x.GetGuid(9), x.GetGuid(0)),
        };
}
