using Npgsql;
using Pipeline.Wire;

namespace Pipeline.Workers.Messaging;

/// <summary>What a batch came to.</summary>
internal enum OutboxBatch
{
    /// <summary>There may be more.</summary>
    Full,

    /// <summary>There is no more.</summary>
    Last,

    /// <summary>The broker did not confirm all of it, such as for a full queue.</summary>
    Part,

    /// <summary>The broker is lost: it has confirmed none of it.</summary>
    Lost,
}

/// <summary>Sends the outbox's first messages, and takes out what the broker has confirmed.</summary>
/// <remarks>
/// A message on which the broker closes the channel takes all others on their way with it. It is found by sending one
/// at a time, and passed over (<see cref="OutboxHolds"/>).
/// </remarks>
internal sealed partial class OutboxSender(
    MessagingOptions options,
    OutboxMetrics metrics,
    TimeProvider clock,
    ILogger logger
)
{
    private const int BatchLimit = 500;

    // A person mends the broker meanwhile, and each try costs a connection.
    private static readonly TimeSpan HoldLength = TimeSpan.FromSeconds(30);

    private readonly OutboxHolds _holds = new(clock, HoldLength);

    // While it is looked for which message closes the channel: so many are sent one at a time.
    private int _singles;

    /// <param name="connection">The leader's.</param>
    /// <param name="publisher">The broker.</param>
    /// <param name="kept">Messages that are not tried again in this round; this adds its own.</param>
    /// <param name="stopping">The process's.</param>
    public async Task<OutboxBatch> RelayAsync(
        NpgsqlConnection connection,
        ConfirmedPublisher publisher,
        List<long> kept,
        CancellationToken stopping
    )
    {
        var probe = _holds.Due();
        var limit = _singles > 0 ? 1 : BatchLimit;
        var rows = probe is null
            ? await OutboxRows.ReadAsync(connection, limit, [.. kept, .. _holds.Ids], _holds.Exchanges, stopping)
            : await OutboxRows.ReadAsync(connection, probe, stopping);
        if (rows.Count > 0)
        {
            var (done, lost) = await SendAsync(publisher, rows, kept, stopping);
            await OutboxRows.DeleteAsync(connection, [.. done], stopping);
            metrics.Relayed(done.Count);
            if (lost is not null)
                return Lose(rows, done.Count, lost);
        }

        if (probe is not null)
            _holds.Release(probe);
        else if (_singles > 0)
            _singles--;
        metrics.Held(_holds.Count);
        return probe is not null || rows.Count == limit ? OutboxBatch.Full : OutboxBatch.Last;
    }

    private async Task<(List<long> Done, PublishFailedException? Lost)> SendAsync(
        ConfirmedPublisher publisher,
        List<OutboxRow> rows,
        List<long> kept,
        CancellationToken stopping
    )
    {
        var messages = rows.Select(x => CloudEvents.Dress(x.Message, options.EventForm));
        var confirms = await publisher.SendAllAsync(messages, stopping);
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

        return (done, lost);
    }

    private OutboxBatch Lose(List<OutboxRow> rows, int done, PublishFailedException lost)
    {
        // If it was for one of them, that is seen when each is alone on its channel.
        if (rows.Count > 1 && lost is not QueueFullException)
            _singles = BatchLimit;
        else if (OutboxHolds.Of(rows[0], lost) is { } hold && !_holds.IsFull)
        {
            _holds.Hold(hold);
            _singles = 0;
            metrics.Held(_holds.Count);
            Held(hold, HoldLength, lost.Message);
            return OutboxBatch.Full;
        }

        NotConfirmed(lost.Message);
        return done > 0 || lost is QueueFullException ? OutboxBatch.Part : OutboxBatch.Lost;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The broker has not confirmed: {Error}")]
    private partial void NotConfirmed(string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "Outbox message {Id} is kept: {Error}")]
    private partial void Unroutable(long id, string error);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The broker closes the channel on {Hold}: passed over, and tried again in {Length}: {Error}"
    )]
    private partial void Held(OutboxHold hold, TimeSpan length, string error);
}
