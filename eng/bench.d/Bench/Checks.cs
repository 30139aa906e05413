using Npgsql;
using Pipeline.Contracts.Saving;

namespace Pipeline.Bench;

/// <summary>What became of the commands, from the pipeline's tables.</summary>
/// <param name="Receipts">Rows of <c>receipts</c>.</param>
/// <param name="Lost">Commands without an <c>applied</c> receipt or without a shown picture.</param>
/// <param name="Duplicates">Writes beyond one a command: versions that no command accounts for, or strange pictures.</param>
/// <param name="Inversions">Commands whose version is lower than that of one published before them.</param>
internal sealed record Checks(long Receipts, long Lost, long Duplicates, long Inversions)
{
    private const string ImagesSql = """
        select id, project_version from pipeline.images
        where project_id = any($1) and placed and deleted_at is null
        """;

    private const string ReceiptsSql = """
        select command_id, project_version from pipeline.receipts
        where project_id = any($1) and command = 'save-image' and outcome = 'applied'
        """;

    private const string VersionsSql = "select id, version from pipeline.projects where id = any($1)";

    public static Checks operator +(Checks a, Checks b) =>
        new(a.Receipts + b.Receipts, a.Lost + b.Lost, a.Duplicates + b.Duplicates, a.Inversions + b.Inversions);

    /// <param name="source">The pipeline's database.</param>
    /// <param name="projects">All of them are new: version 1 of each is the definition of its scenes.</param>
    /// <param name="commands">In the order of publishing; all for these projects, and nobody else wrote to them.</param>
    /// <param name="cancellation">Ends the reading.</param>
    public static async Task<Checks> OfAsync(
        NpgsqlDataSource source,
        Guid[] projects,
        IEnumerable<SaveImage> commands,
        CancellationToken cancellation
    )
    {
        var images = await ReadAsync(source, ImagesSql, projects, cancellation);
        var receipts = await ReadAsync(source, ReceiptsSql, projects, cancellation);
        var versions = await ReadAsync(source, VersionsSql, projects, cancellation);

        long lost = 0;
        long inversions = 0;
        var expected = projects.ToDictionary(x => x, _ => 1L);
        var highest = new Dictionary<Guid, long>();
        foreach (var command in commands)
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

        var extra = projects.Sum(x => Math.Max(0, versions.GetValueOrDefault(x) - expected[x]));
        return new Checks(receipts.Count, lost, extra + images.Count, inversions);
    }

    private static async Task<Dictionary<Guid, long>> ReadAsync(
        NpgsqlDataSource source,
        string sql,
        Guid[] projects,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(sql);
        command.Parameters.AddWithValue(projects);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var read = new Dictionary<Guid, long>();
        while (await row.ReadAsync(cancellation))
            read.Add(row.GetGuid(0), row.GetInt64(1));
        return read;
    }
}
