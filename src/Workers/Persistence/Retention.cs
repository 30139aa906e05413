using System.Globalization;
using Npgsql;

namespace Pipeline.Workers.Persistence;

/// <summary>Rows that are of no more use, of one table. Who owns the table registers the rule.</summary>
/// <param name="Table">In schema <c>pipeline</c>.</param>
/// <param name="Where">
/// SQL that is true of such rows; <c>t</c> is the table and <c>$1</c> the time before which they ended. Rows that others
/// point at are left until those are gone.
/// </param>
/// <param name="Keep">How long a row is kept after its end.</param>
internal sealed record RetentionRule(string Table, string Where, TimeSpan Keep)
{
    /// <summary>Deletes one batch: <c>$2</c> rows at most, and none that another worker is deleting.</summary>
    public string Sql { get; } =
        $"""
            delete from pipeline.{Table} where ctid = any(array(
                select t.ctid from pipeline.{Table} t where {Where} limit $2 for update skip locked))
            """;

    /// <summary>Reads a setting of how long rows are kept, such as <c>Retention__Receipts</c>.</summary>
    /// <param name="configuration">The worker's.</param>
    /// <param name="name">In section <c>Retention</c>.</param>
    /// <param name="days">The default.</param>
    /// <exception cref="InvalidOperationException">It is not 1 day to 10 years; the process must not start.</exception>
    public static TimeSpan Read(IConfiguration configuration, string name, int days)
    {
        var keep = configuration.GetValue<TimeSpan?>($"Retention:{name}") ?? TimeSpan.FromDays(days);
        return keep >= TimeSpan.FromDays(1) && keep <= TimeSpan.FromDays(3_650)
            ? keep
            : throw new InvalidOperationException(
                string.Create(CultureInfo.InvariantCulture, $"Retention__{name} must be 1 to 3650 days.")
            );
    }
}

/// <summary>
/// Deletes what the rules say, a batch at a time, so that no table grows with the traffic for ever. A turn ends when a
/// batch of each rule was not full.
/// </summary>
internal sealed partial class RetentionSweeper(
    IEnumerable<RetentionRule> rules,
    NpgsqlDataSource source,
    TimeProvider clock,
    ILogger<RetentionSweeper> logger
) : Sweeper(Every, clock, logger)
{
    // Rows: a batch is over within milliseconds, so that nobody waits for its locks.
    private const int BatchLimit = 1_000;

    private static readonly TimeSpan Every = TimeSpan.FromMinutes(10);

    private readonly RetentionRule[] _rules = [.. rules];

    internal Task SweepNowAsync(CancellationToken stopping) => SweepAsync(stopping);

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        foreach (var rule in _rules)
        {
            try
            {
                await SweepAsync(rule, stopping);
            }
            catch (NpgsqlException e) when (!stopping.IsCancellationRequested)
            {
                RuleFailed(rule.Table, e.Message); // The other tables have their turn all the same.
            }
        }
    }

    private async Task SweepAsync(RetentionRule rule, CancellationToken stopping)
    {
        int deleted;
        do
        {
            await using var command = source.CreateCommand(rule.Sql);
            command.Parameters.AddWithValue(Clock.GetUtcNow() - rule.Keep);
            command.Parameters.AddWithValue(BatchLimit);
            deleted = await command.ExecuteNonQueryAsync(stopping);
        } while (deleted == BatchLimit);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Old rows of {Table} are deleted at the next turn: {Error}")]
    private partial void RuleFailed(string table, string error);
}
