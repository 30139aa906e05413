namespace Pipeline.Publisher.Status;

/// <summary>Who works, on what, and what waits to be relayed.</summary>
internal sealed class LaneReads(StatusDatabase database)
{
    public Task<List<LaneRow>> LanesAsync(CancellationToken cancellation) =>
        database.ReadAsync(
            "select lane, queue, worker_id, worker, epoch, lease_until, held from status.lanes order by lane",
            x => new LaneRow(
                x.GetInt32(0),
                x.GetString(1),
                x.Nullable<Guid>(2),
                x.Text(3),
                x.GetInt64(4),
                x.Nullable<DateTimeOffset>(5),
                x.GetBoolean(6)
            ),
            cancellation
        );

    public Task<List<WorkerRow>> WorkersAsync(CancellationToken cancellation) =>
        database.ReadAsync(
            "select id, name, started_at, lease_until, alive from status.workers order by name, id",
            x => new WorkerRow(x.GetGuid(0), x.GetString(1), x.Instant(2), x.Instant(3), x.GetBoolean(4)),
            cancellation
        );

    public async Task<OutboxRow> OutboxAsync(CancellationToken cancellation) =>
        (
            await database.ReadAsync(
                "select waiting, oldest from status.outbox",
                x => new OutboxRow(x.GetInt64(0), x.Nullable<DateTimeOffset>(1)),
                cancellation
            )
        )[0];
}
