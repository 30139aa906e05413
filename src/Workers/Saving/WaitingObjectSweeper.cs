using Npgsql;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Saving;

/// <summary>
/// Looks in the store for the objects that saved pictures wait for, and sends the lane a <see cref="ConfirmObject"/> for
/// each one found. Runs in every process; a row belongs to whoever claimed it, for a minute.
/// </summary>
internal sealed partial class WaitingObjectSweeper(
    NpgsqlDataSource source,
    IImageStore store,
    TimeProvider clock,
    ILogger<WaitingObjectSweeper> logger
) : BackgroundService
{
    private const int BatchLimit = 100;

    private const int ConcurrentLooks = 8;

    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(1);

    // 1 s, 2 s, 4 s … and at most this: an upload that takes its time is still seen soon, a lost one costs little.
    private static readonly TimeSpan PauseLimit = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan Claim = TimeSpan.FromMinutes(1);

    private const string ClaimSql = """
        update pipeline.images set object_check_at = now() + $1
        where id in (
            select id from pipeline.images
            where not object_seen and deleted_at is null and object_check_at <= now()
            order by object_check_at limit $2 for update skip locked)
        returning id, project_id, object_key, byte_length
        """;

    private const string PostponeSql = """
        update pipeline.images
        set object_checks = object_checks + 1,
            object_check_at = now() + least($2, make_interval(secs => power(2, least(object_checks, 20))))
        where id = $1 and not object_seen
        """;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(SweepEvery, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                await SweepAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops; claims end by themselves.
        }
    }

    private async Task SweepAsync(CancellationToken stopping)
    {
        try
        {
            var waiting = await ClaimAsync(stopping);
            var parallel = new ParallelOptions
            {
                MaxDegreeOfParallelism = ConcurrentLooks,
                CancellationToken = stopping,
            };
            await Parallel.ForEachAsync(waiting, parallel, async (x, cancellation) => await LookAsync(x, cancellation));
        }
        catch (Exception e) when (e is NpgsqlException or StorageUnavailableException or StorageMisconfiguredException)
        {
            SweepFailed(e.Message);
        }
    }

    private async Task<List<Waiting>> ClaimAsync(CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(ClaimSql);
        command.Parameters.AddWithValue(Claim);
        command.Parameters.AddWithValue(BatchLimit);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var waiting = new List<Waiting>();
        while (await row.ReadAsync(cancellation))
            waiting.Add(new Waiting(row.GetGuid(0), row.GetGuid(1), row.GetString(2), row.GetInt64(3)));
        return waiting;
    }

    private async Task LookAsync(Waiting waiting, CancellationToken cancellation)
    {
        var stored = await store.HeadAsync(waiting.ObjectKey, cancellation);
        if (stored is null || stored.Size != waiting.ByteLength)
        {
            if (stored is not null)
                WrongSize(waiting.ImageId, waiting.ObjectKey, stored.Size, waiting.ByteLength);
            await using var postpone = source.CreateCommand(PostponeSql);
            postpone.Parameters.AddWithValue(waiting.ImageId);
            postpone.Parameters.AddWithValue(PauseLimit);
            await postpone.ExecuteNonQueryAsync(cancellation);
            return;
        }

        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await ObjectCatalog.RecordAsync(connection, transaction, stored, clock.GetUtcNow(), cancellation);

        // The same object is the same command, however often it is looked for.
        var commandId = NameBasedGuid.Create(waiting.ImageId, $"confirm-object {waiting.ObjectKey}");
        var confirm = new ConfirmObject(commandId, waiting.ProjectId, waiting.ImageId, waiting.ObjectKey);
        await Outbox.AppendAsync(connection, transaction, [WireMessage.Command(confirm)], cancellation);
        await transaction.CommitAsync(cancellation);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Missing objects are looked for later: {Error}")]
    private partial void SweepFailed(string error);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Image {ImageId} is kept out of sight: '{ObjectKey}' has {Size} bytes instead of {Expected}"
    )]
    private partial void WrongSize(Guid imageId, string objectKey, long size, long expected);

    private sealed record Waiting(Guid ImageId, Guid ProjectId, string ObjectKey, long ByteLength);
}
