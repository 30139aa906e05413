using Npgsql;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Rendering;

/// <summary>Closes a model's gate for every worker: rows of <c>pipeline.provider_gates</c>.</summary>
internal sealed partial class ProviderGates(
    NpgsqlDataSource source,
    RenderMetrics metrics,
    ILogger<ProviderGates> logger
)
{
    /// <summary>
    /// The gate of the object store, beside those of the models: while an image cannot be stored, none is paid for.
    /// </summary>
    public const string Store = "(store)";

    // A provider that names a longer time is asked again after this one, and may say so again.
    private static readonly TimeSpan PauseMax = TimeSpan.FromHours(1);

    // A provider that says "now" while it refuses would be asked in a tight loop.
    private static readonly TimeSpan PauseMin = TimeSpan.FromSeconds(1);

    private const string CloseSql = """
        insert into pipeline.provider_gates as g (provider, closed_until, reason)
        values ($1, clock_timestamp() + $2, $3)
        on conflict (provider) do update
            set closed_until = greatest(g.closed_until, excluded.closed_until),
                reason = case when excluded.closed_until > g.closed_until then excluded.reason else g.reason end
        """;

    /// <summary>The pause that is really made.</summary>
    public static TimeSpan Bound(TimeSpan pause) =>
        pause < PauseMin ? PauseMin
        : pause > PauseMax ? PauseMax
        : pause;

    /// <summary>Closes the gate for that long from now, if it is not closed for longer. An outage of the database is logged.</summary>
    public async Task CloseAsync(string model, TimeSpan pause, string reason)
    {
        try
        {
            await using var command = source.CreateCommand(CloseSql);
            command.Parameters.AddWithValue(model);
            command.Parameters.AddWithValue(Bound(pause));
            command.Parameters.AddWithValue(reason);
            await command.ExecuteNonQueryAsync();
            metrics.GateClosed(model);
            Closed(model, Bound(pause));
        }
        catch (Exception e) when (Transience.IsOutage(e) || Transience.IsContention(e))
        {
            StaysOpen(model, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The gate of model {Model} is closed for {Pause}")]
    private partial void Closed(string model, TimeSpan pause);

    [LoggerMessage(Level = LogLevel.Error, Message = "The gate of model {Model} stays open: {Error}")]
    private partial void StaysOpen(string model, string error);
}
