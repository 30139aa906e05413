using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>
/// Finds what has become due and tells the saga: attempts whose pause is over, leases that lapsed, deadlines, requests
/// that nothing has touched for too long, pictures that have their end in the lane, storyboards that are done.
/// </summary>
/// <remarks>
/// Runs in every process. It changes no saga: it sends what it saw, with the attempt it saw, and the saga compares.
/// A row is claimed by the sweep that sees it, so that a message goes out once and not once a process.
/// </remarks>
internal sealed partial class GenerationSweeper(
    NpgsqlDataSource source,
    GenerationOptions options,
    GenerationMetrics metrics,
    TimeProvider clock,
    ILogger<GenerationSweeper> logger
) : Sweeper(options.SweepEvery, clock, logger)
{
    private const int BatchLimit = 200;

    // A claim hides a row from the other sweeps for so long; should its message be lost, it is found again.
    private static readonly TimeSpan ClaimLength = TimeSpan.FromSeconds(30);

    // Between two looks at what was replayed, in sweeps: people do that seldom, and all failed requests are looked at.
    private const int ReplayedEvery = 20;

    private readonly HealthyTime _healthy = new(clock, options.SweepEvery + TimeSpan.FromSeconds(5));
    private int _untilReplayed;

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        try
        {
            await SweepAllAsync(stopping);
        }
        catch (Exception e) when (Transience.IsOutage(e))
        {
            _healthy.Broken();
            throw;
        }
    }

    private async Task SweepAllAsync(CancellationToken stopping)
    {
        await SweepAsync(
            Sweep.Lapsed,
            OfAttempt((id, attempt) => new RenderLeaseExpired(id, attempt)),
            () => _healthy.IsUnbroken,
            [ClaimLength, _healthy.Seen()],
            stopping
        );
        // Before those that would begin an attempt.
        await SweepAsync(
            Sweep.Deadline,
            OfAttempt((id, attempt) => new GenerationDeadlinePassed(id, attempt)),
            ClaimLength,
            stopping
        );
        await SweepAsync(Sweep.Due, OfAttempt((id, attempt) => new RenderDue(id, attempt)), ClaimLength, stopping);
        await SweepAsync(
            Sweep.Stale,
            OfAttempt((id, attempt) => new RenderDue(id, attempt)),
            options.StaleAfter,
            stopping
        );
        await SweepAsync(Sweep.Settled, ReadSettled, ClaimLength, stopping);
        if (_untilReplayed-- > 0)
            return;
        await SweepAsync(Sweep.Replayed, ReadSettled, ClaimLength, stopping);
        _untilReplayed = ReplayedEvery;
    }

    private Func<NpgsqlDataReader, T> OfAttempt<T>(Func<Guid, int, T> message) =>
        row =>
        {
            var (id, attempt) = (row.GetGuid(0), row.GetInt32(1));
            Found(typeof(T).Name, id, attempt);
            return message(id, attempt);
        };

    private static TargetSettled ReadSettled(NpgsqlDataReader row) =>
        new(
            row.GetGuid(0),
            row.GetGuid(1),
            row.GetGuid(2),
            row.GetString(3),
            row.IsDBNull(4) ? null : row.GetString(4),
            row.IsDBNull(5) ? null : row.GetInt64(5)
        );

    private Task SweepAsync<T>(
        Sweep sweep,
        Func<NpgsqlDataReader, T> message,
        TimeSpan claimLength,
        CancellationToken stopping
    ) => SweepAsync(sweep, message, () => true, [claimLength], stopping);

    /// <summary>Claims rows and queues a message for each one, in one transaction.</summary>
    /// <param name="sweep">What to look for.</param>
    /// <param name="message">The message of a row.</param>
    /// <param name="counts">Asked behind the statement; where it is false, nothing is claimed.</param>
    /// <param name="parameters">The statement's, from <c>$2</c>.</param>
    /// <param name="stopping">The process's.</param>
    private async Task SweepAsync<T>(
        Sweep sweep,
        Func<NpgsqlDataReader, T> message,
        Func<bool> counts,
        TimeSpan[] parameters,
        CancellationToken stopping
    )
    {
        await using var connection = await source.OpenConnectionAsync(stopping);
        await using var transaction = await connection.BeginTransactionAsync(stopping);
        var found = new List<WireMessage>();
        await using (var command = new NpgsqlCommand(sweep.Sql, connection, transaction))
        {
            command.Parameters.AddWithValue(BatchLimit);
            foreach (var parameter in parameters)
                command.Parameters.AddWithValue(parameter);
            await using var row = await command.ExecuteReaderAsync(stopping);
            while (await row.ReadAsync(stopping))
                found.Add(ToSaga(message(row)));
        }

        if (!counts())
            return;
        await Outbox.AppendAsync(connection, transaction, found, stopping);
        await transaction.CommitAsync(stopping);
        metrics.Swept(sweep.Finding, found.Count);
        _healthy.Seen(); // A round of many statements is no gap.
    }

    private static WireMessage ToSaga<T>(T message) =>
        new(WireNames.ExchangeOf<T>(), RoutingKey: "", Guid.NewGuid(), WireJson.Write(message), Mandatory: true);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Event} of generation {GenerationId}, attempt {Attempt}")]
    private partial void Found(string @event, Guid generationId, int attempt);
}
