using Npgsql;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Messaging;

/// <summary>
/// Publishes what transactions left in <c>pipeline.outbox</c>, in order of its ids, and deletes what the broker has
/// confirmed. One process at a time relays; the others stand by.
/// </summary>
/// <remarks>
/// A crash between confirm and delete sends a message twice, under the same message id: receipts and sagas know it.
/// What the broker does not confirm is sent again, and all behind it again after it, also what has come through before.
/// The leader is who holds the advisory lock; it ends with the connection, so a dead leader is replaced at once.
/// Polling, because a <c>NOTIFY</c> in each transaction would serialise their commits (measured: half the rate).
/// </remarks>
internal sealed partial class OutboxRelay(
    NpgsqlDataSource source,
    MessagingOptions options,
    OutboxMetrics metrics,
    TimeProvider clock,
    ILogger<OutboxRelay> logger
) : BackgroundService
{
    private const int BatchLimit = 500;

    private static readonly TimeSpan IdlePause = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan StandbyPause = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan MeasureEvery = TimeSpan.FromSeconds(5);

    // Always from the first one: of a saga's two messages the earlier may be committed after a batch was read, and the
    // later before the next one is. A batch that began behind the one before would send the later one first.
    private const string ReadSql = """
        select id, exchange, routing_key, message_id, body, mandatory from pipeline.outbox
        where id <> all($2) order by id limit $1
        """;

    // Counts up to 10,000: a longer outbox is not counted over and over while it is being emptied.
    private const string MeasureSql = """
        select (select count(*) from (select from pipeline.outbox order by id limit 10000) w),
               coalesce(extract(epoch from now() - (select created_at from pipeline.outbox order by id limit 1)), 0)::float8
        """;

    private long _measuredAt;

    /// <summary>The result of a batch: there may be more, or there is no more, or the broker did not confirm all of it.</summary>
    private enum Batch
    {
        Full,
        Last,
        Lost,
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await using var publisher = new ConfirmedPublisher(options.Broker, "pipeline-workers outbox");
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await source.OpenConnectionAsync(stoppingToken);
                await LeadAsync(connection, publisher, stoppingToken);
                await Task.Delay(StandbyPause, clock, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                RelayInterrupted(e.Message);
                await Task.Delay(StandbyPause, clock, CancellationToken.None);
            }
        }
    }

    /// <summary>Relays for as long as this connection is the leader's; returns at once where another one leads.</summary>
    private async Task LeadAsync(NpgsqlConnection connection, ConfirmedPublisher publisher, CancellationToken stopping)
    {
        var lead = AdvisoryLock.Of(LockUse.OutboxLeader);
        try
        {
            if (!await lead.TryTakeForSessionAsync(connection, stopping))
                return;
            // What has no queue is passed over, so that it cannot hold up the rest; the next round tries it again.
            var kept = new List<long>();
            while (!stopping.IsCancellationRequested)
            {
                await MeasureAsync(connection, stopping);
                var batch = await RelayBatchAsync(connection, publisher, kept, stopping);
                if (batch == Batch.Full)
                    continue;
                await Task.Delay(batch == Batch.Lost || kept.Count > 0 ? StandbyPause : IdlePause, clock, stopping);
                kept.Clear();
            }
        }
        finally
        {
            metrics.NoLongerLeader();
            await lead.ReleaseAsync(connection, source); // Also where it is unknown whether it was taken.
        }
    }

    /// <param name="connection">The leader's.</param>
    /// <param name="publisher">The broker.</param>
    /// <param name="kept">Messages that are not tried again in this round; this adds its own.</param>
    /// <param name="stopping">The process's.</param>
    private async Task<Batch> RelayBatchAsync(
        NpgsqlConnection connection,
        ConfirmedPublisher publisher,
        List<long> kept,
        CancellationToken stopping
    )
    {
        var rows = await ReadAsync(connection, kept, stopping);
        if (rows.Count == 0)
            return Batch.Last;

        var confirms = await publisher.SendAllAsync(
            rows.Select(x => CloudEvents.Dress(x.Message, options.EventForm)),
            stopping
        );
        var done = new List<long>();
        PublishFailedException? lost = null;
        foreach (var (id, confirmed) in rows.Select((x, i) => (x.Id, confirms[i])))
        {
            try
            {
                await confirmed;
                done.Add(id);
            }
            catch (PublishFailedException e)
            {
                lost ??= e; // The next round begins here: what follows must not overtake it.
            }
            catch (UnroutableMessageException e)
            {
                // Kept: its queue is made when its consumers start. Deleting it would lose a promise.
                kept.Add(id);
                Unroutable(id, e.Message);
            }
        }

        await using var delete = new NpgsqlCommand("delete from pipeline.outbox where id = any($1)", connection);
        delete.Parameters.AddWithValue(done.ToArray());
        await delete.ExecuteNonQueryAsync(stopping);
        metrics.Relayed(done.Count);
        if (lost is null)
            return rows.Count == BatchLimit ? Batch.Full : Batch.Last;
        RelayInterrupted(lost.Message);
        return Batch.Lost;
    }

    private async Task MeasureAsync(NpgsqlConnection connection, CancellationToken stopping)
    {
        if (!metrics.IsObserved || (_measuredAt != 0 && clock.GetElapsedTime(_measuredAt) < MeasureEvery))
            return;
        _measuredAt = clock.GetTimestamp();
        await using var command = new NpgsqlCommand(MeasureSql, connection);
        await using var row = await command.ExecuteReaderAsync(stopping);
        await row.ReadAsync(stopping);
        metrics.Measured(row.GetInt64(0), row.GetDouble(1));
    }

    private static async Task<List<(long Id, WireMessage Message)>> ReadAsync(
        NpgsqlConnection connection,
        List<long> kept,
        CancellationToken stopping
    )
    {
        await using var command = new NpgsqlCommand(ReadSql, connection);
        command.Parameters.AddWithValue(BatchLimit);
        command.Parameters.AddWithValue(kept.ToArray());
        await using var row = await command.ExecuteReaderAsync(stopping);
        var rows = new List<(long, WireMessage)>();
        while (await row.ReadAsync(stopping))
        {
            var message = new WireMessage(
                row.GetString(1),
                row.GetString(2),
                row.GetGuid(3),
                row.GetFieldValue<byte[]>(4),
                row.GetBoolean(5)
            );
            rows.Add((row.GetInt64(0), message));
        }

        return rows;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The outbox waits: {Error}")]
    private partial void RelayInterrupted(string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "Outbox message {Id} is kept: {Error}")]
    private partial void Unroutable(long id, string error);
}
