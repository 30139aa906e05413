using Npgsql;
using Pipeline.Contracts.Importing;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Uploads;

/// <summary>
/// Knows until when imports have been taken out of their queue, so that an upload from before cannot be wanted by one
/// that waits there. Under a steady load the queue is never empty, and this moves on nevertheless.
/// </summary>
/// <remarks>
/// A queue gives out what came first. What waited at a moment has been taken, and noted by its worker, once the queue
/// has been empty since, or once as many imports have ended since as waited then and as workers may have had at hand.
/// Only the publisher sends imports of uploads, so none of them waits in the workers' outbox; and an import of a
/// generated image is sent after its generation names the object, for which <see cref="Leftovers"/> looks.
/// </remarks>
internal sealed class ImportQueue(NpgsqlDataSource source, QueueDepth queues)
{
    // More than any number of workers take out of the queue before they write the first receipt.
    private const int AtHandLimit = 5_000;

    // Receipts have the time of their workers' clocks.
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(1);

    private const string MarkSql = """
        update pipeline.upload_sweeps
        set taken_until = case when $2 = 0 then now() when $4 then marked_at else taken_until end,
            marked_at = case when $2 = 0 then null when $4 or marked_at is null then now() else marked_at end,
            marked_imports = case when $2 = 0 then null when $4 or marked_at is null then $2 + $3
                                  else marked_imports end
        where kind = $1 returning taken_until
        """;

    private const string EndedSql = """
        select coalesce((
            select count(*) from (
                select from pipeline.receipts r
                where r.command = $2 and r.at > s.marked_at + $3 limit s.marked_imports) ended)
            >= s.marked_imports, false)
        from pipeline.upload_sweeps s where s.kind = $1
        """;

    private static readonly string Queue = WireNames.ExchangeOf<ImportImage>();

    /// <summary>Looks at the queue once more. The caller holds the sweep of this kind.</summary>
    /// <returns>Every import that was sent before this time has been taken; null where that is not known yet.</returns>
    public async Task<DateTimeOffset?> TakenUntilAsync(string kind, CancellationToken cancellation)
    {
        if (await queues.ReadyAsync(Queue, cancellation) is not { } ready)
            return null;

        await using var ended = source.CreateCommand(EndedSql);
        ended.Parameters.AddWithValue(kind);
        ended.Parameters.AddWithValue(Queue);
        ended.Parameters.AddWithValue(ClockSkew);
        var isEnded = await ended.ExecuteScalarAsync(cancellation) is true;

        await using var mark = source.CreateCommand(MarkSql);
        mark.Parameters.AddWithValue(kind);
        mark.Parameters.AddWithValue((long)ready);
        mark.Parameters.AddWithValue((long)AtHandLimit);
        mark.Parameters.AddWithValue(isEnded);
        await using var row = await mark.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation) && !row.IsDBNull(0) ? row.GetFieldValue<DateTimeOffset>(0) : null;
    }
}
