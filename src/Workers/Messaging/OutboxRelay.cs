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
/// A message on which the broker closes the channel is found by sending one at a time, and passed over
/// (<see cref="OutboxHolds"/>).
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
    private static readonly TimeSpan IdlePause = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan StandbyPause = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan MeasureEvery = TimeSpan.FromSeconds(5);

    // For another process to take the lead: it looks every StandbyPause.
    private static readonly TimeSpan YieldPause = 3 * StandbyPause;

    private readonly OutboxSender _sender = new(options, metrics, clock, logger);

    private long _measuredAt;

    /// <summary>How long a leader keeps the lead without its broker.</summary>
    internal TimeSpan YieldAfter { get; init; } = TimeSpan.FromSeconds(10);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await using var publisher = new ConfirmedPublisher(options.Broker, "pipeline-workers outbox");
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await source.OpenConnectionAsync(stoppingToken);
                var yields = await LeadAsync(connection, publisher, stoppingToken);
                await Task.Delay(yields ? YieldPause : StandbyPause, clock, stoppingToken);
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
    /// <returns>True where it gives the lead to whoever can reach the broker.</returns>
    private async Task<bool> LeadAsync(
        NpgsqlConnection connection,
        ConfirmedPublisher publisher,
        CancellationToken stopping
    )
    {
        var lead = AdvisoryLock.Of(LockUse.OutboxLeader);
        try
        {
            if (!await lead.TryTakeForSessionAsync(connection, stopping))
                return false;
            // What has no queue is passed over, so that it cannot hold up the rest; the next round tries it again.
            var kept = new List<long>();
            long? lostSince = null;
            while (!stopping.IsCancellationRequested)
            {
                await MeasureAsync(connection, stopping);
                var begun = clock.GetTimestamp();
                var batch = await _sender.RelayAsync(connection, publisher, kept, stopping);
                lostSince = batch == OutboxBatch.Lost ? lostSince ?? begun : null;
                if (lostSince is { } since && clock.GetElapsedTime(since) >= YieldAfter)
                    return true;
                if (batch == OutboxBatch.Full)
                    continue;
                await Task.Delay(
                    batch != OutboxBatch.Last || kept.Count > 0 ? StandbyPause : IdlePause,
                    clock,
                    stopping
                );
                kept.Clear();
            }

            return false;
        }
        finally
        {
            metrics.NoLongerLeader();
            await lead.ReleaseAsync(connection, source); // Also where it is unknown whether it was taken.
        }
    }

    private async Task MeasureAsync(NpgsqlConnection connection, CancellationToken stopping)
    {
        if (!metrics.IsObserved || (_measuredAt != 0 && clock.GetElapsedTime(_measuredAt) < MeasureEvery))
            return;
        _measuredAt = clock.GetTimestamp();
        var (waiting, oldestSeconds) = await OutboxRows.MeasureAsync(connection, stopping);
        metrics.Measured(waiting, oldestSeconds);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The outbox waits: {Error}")]
    private partial void RelayInterrupted(string error);
}
