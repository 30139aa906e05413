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
    TimeProvider clock,
    ILogger<GenerationSweeper> logger
) : BackgroundService
{
    private const int BatchLimit = 200;

    // A claim hides a row from the other sweeps for so long; should its message be lost, it is found again.
    private static readonly TimeSpan ClaimLength = TimeSpan.FromSeconds(30);

    private const string DueSql = """
        update pipeline.generation_requests set due_at = now() + $2
        where correlation_id in (
            select correlation_id from pipeline.generation_requests
            where due_at <= now() and current_state = 'Requested'
            order by due_at limit $1 for update skip locked)
        returning correlation_id, attempt
        """;

    private const string LapsedSql = """
        update pipeline.generation_leases set lease_until = now() + $2
        where generation_id in (
            select l.generation_id from pipeline.generation_leases l
            join pipeline.generation_requests g on g.correlation_id = l.generation_id
                and g.attempt = l.attempt and g.current_state = 'Rendering'
            where l.lease_until <= now() limit $1 for update of l skip locked)
        returning generation_id, attempt
        """;

    private const string DeadlineSql = """
        update pipeline.generation_requests set deadline_at = deadline_at + interval '1 second'
        where correlation_id in (
            select g.correlation_id from pipeline.generation_requests g
            where g.deadline_at <= now()
                and (g.current_state = 'Requested' or g.current_state = 'Rendering' and not exists (
                    select from pipeline.generation_leases l
                    where l.generation_id = g.correlation_id and l.attempt = g.attempt))
            limit $1 for update skip locked)
        returning correlation_id, attempt
        """;

    // Alive is who renews a lease, however long it takes; stale is who has neither a lease nor an appointment.
    private const string StaleSql = """
        update pipeline.generation_requests set updated_at = now()
        where correlation_id in (
            select g.correlation_id from pipeline.generation_requests g
            where g.current_state = 'Rendering' and g.updated_at <= now() - $2 and not exists (
                select from pipeline.generation_leases l
                where l.generation_id = g.correlation_id and l.attempt = g.attempt and l.lease_until > now())
            limit $1 for update skip locked)
        returning correlation_id, attempt
        """;

    // The receipts are the truth about saves: an import that ended without a save, or the save's own.
    private const string SettledSql = """
        with ended as (
            select t.command_id, r.outcome, r.reason, r.project_version
            from pipeline.generation_targets t
            join pipeline.receipts r on r.command_id = t.save_command_id
                or r.command_id = t.import_command_id and r.outcome <> 'applied'
            where t.outcome is null and t.save_command_id is not null
                and (t.told_at is null or t.told_at <= now() - $2)
            limit $1 for update of t skip locked)
        update pipeline.generation_targets t set told_at = now() from ended e where t.command_id = e.command_id
        returning t.generation_id, t.command_id, e.outcome, e.reason, e.project_version
        """;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.SweepEvery, clock);
        try
        {
            do
            {
                await SweepAsync(stoppingToken);
            } while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops; another one sweeps.
        }
    }

    private async Task SweepAsync(CancellationToken stopping)
    {
        try
        {
            await SweepAttemptsAsync(DueSql, (id, attempt) => new RenderDue(id, attempt), ClaimLength, stopping);
            await SweepAttemptsAsync(
                LapsedSql,
                (id, attempt) => new RenderLeaseExpired(id, attempt),
                ClaimLength,
                stopping
            );
            await SweepAttemptsAsync(
                DeadlineSql,
                (id, attempt) => new GenerationDeadlinePassed(id, attempt),
                null,
                stopping
            );
            await SweepAttemptsAsync(
                StaleSql,
                (id, attempt) => new RenderDue(id, attempt),
                options.StaleAfter,
                stopping
            );
            await SweepAsync(SettledSql, ClaimLength, ReadSettled, stopping);
        }
        catch (Exception e) when (Transience.IsOutage(e) || Transience.IsContention(e))
        {
            SweepFailed(e.Message);
        }
    }

    private Task SweepAttemptsAsync<T>(
        string sql,
        Func<Guid, int, T> message,
        TimeSpan? parameter,
        CancellationToken stopping
    ) =>
        SweepAsync(
            sql,
            parameter,
            row =>
            {
                var (id, attempt) = (row.GetGuid(0), row.GetInt32(1));
                Found(typeof(T).Name, id, attempt);
                return message(id, attempt);
            },
            stopping
        );

    private static TargetSettled ReadSettled(NpgsqlDataReader row) =>
        new(
            row.GetGuid(0),
            row.GetGuid(1),
            row.GetString(2),
            row.IsDBNull(3) ? null : row.GetString(3),
            row.IsDBNull(4) ? null : row.GetInt64(4)
        );

    /// <summary>Claims rows and queues a message for each one, in one transaction.</summary>
    private async Task SweepAsync<T>(
        string sql,
        TimeSpan? parameter,
        Func<NpgsqlDataReader, T> message,
        CancellationToken stopping
    )
    {
        await using var connection = await source.OpenConnectionAsync(stopping);
        await using var transaction = await connection.BeginTransactionAsync(stopping);
        var found = new List<WireMessage>();
        await using (var command = new NpgsqlCommand(sql, connection, transaction))
        {
            command.Parameters.AddWithValue(BatchLimit);
            if (parameter is { } value)
                command.Parameters.AddWithValue(value);
            await using var row = await command.ExecuteReaderAsync(stopping);
            while (await row.ReadAsync(stopping))
                found.Add(ToSaga(message(row)));
        }

        await Outbox.AppendAsync(connection, transaction, found, stopping);
        await transaction.CommitAsync(stopping);
    }

    private static WireMessage ToSaga<T>(T message) =>
        new(WireNames.ExchangeOf<T>(), RoutingKey: "", Guid.NewGuid(), WireJson.Write(message), Mandatory: true);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Event} of generation {GenerationId}, attempt {Attempt}")]
    private partial void Found(string @event, Guid generationId, int attempt);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The sweep waits: {Error}")]
    private partial void SweepFailed(string error);
}
