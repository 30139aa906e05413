using Npgsql;

namespace Pipeline.Bench;

/// <summary>What became of the commands, from the pipeline's tables.</summary>
/// <param name="Receipts">Rows of <c>receipts</c>.</param>
/// <param name="Lost">Commands without an <c>applied</c> receipt or without a shown picture.</param>
/// <param name="Duplicates">Writes beyond one a command: versions that no command accounts for, or strange pictures.</param>
/// <param name="Inversions">Commands whose version is lower than that of one published before them.</param>
internal sealed record Checks(long Receipts, long Lost, long Duplicates, long Inversions)
{
    private const string ImagesSql = """
        select id, project_id, project_version from pipeline.images
        where project_id = any($1) and placed and deleted_at is null
        """;

    private const string ReceiptsSql = """
        select command_id, project_version from pipeline.receipts
        where project_id = any($1) and command = 'save-image' and outcome = 'applied'
        """;

    private const string VersionsSql = "select id, version from pipeline.projects where id = any($1)";

    public static Checks operator +(Checks a, Checks b) =>
        new(a.Receipts + b.Receipts, a.Lost + b.Lost, a.Duplicates + b.Duplicates, a.Inversions + b.Inversions);

    public static async Task<Checks> OfAsync(NpgsqlDataSource source, Workload work, CancellationToken cancellation)
    {
        var images = new Dictionary<Guid, long>();
        await ReadAsync(source, ImagesSql, work, row => images.Add(row.GetGuid(0), row.GetInt64(2)), cancellation);
        var receipts = new Dictionary<Guid, long>();
        await ReadAsync(source, ReceiptsSql, work, row => receipts.Add(row.GetGuid(0), row.GetInt64(1)), cancellation);
        var versions = new Dictionary<Guid, long>();
        await ReadAsync(source, VersionsSql, work, row => versions.Add(row.GetGuid(0), row.GetInt64(1)), cancellation);

        long lost = 0;
        long inversions = 0;
        var expected = work.Projects.ToDictionary(x => x, _ => 1L); // The definition of its scenes.
        var highest = new Dictionary<Guid, long>();
        foreach (var command in work.Commands)
        {
            expected[command.ProjectId]++;
            if (
                !receipts.TryGetValue(command.CommandId, out var version)
                || !images.Remove(command.ImageId, out var shown)
                || shown != version
            )
            {
                lost++;
                continue;
            }

            if (version < highest.GetValueOrDefault(command.ProjectId))
                inversions++;
            else
                highest[command.ProjectId] = version;
        }

        var extra = work.Projects.Sum(x => Math.Max(0, versions.GetValueOrDefault(x) - expected[x]));
        return new Checks(receipts.Count, lost, extra + images.Count, inversions);
    }

    private static async Task ReadAsync(
        NpgsqlDataSource source,
        string sql,
        Workload work,
        Action<NpgsqlDataReader> read,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(sql);
        command.Parameters.AddWithValue(work.Projects);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        while (await row.ReadAsync(cancellation))
            read(row);
    }
}
