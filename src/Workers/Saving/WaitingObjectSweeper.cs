using Npgsql;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Saving;

/// <summary>
/// Looks in the store for the objects that saved pictures and replacements wait for, and sends the lane a
/// <see cref="ConfirmObject"/> for each one found. Runs in every process; a row belongs to whoever claimed it, for a
/// minute.
/// </summary>
internal sealed partial class WaitingObjectSweeper(
    NpgsqlDataSource source,
    IImageStore store,
    TimeProvider clock,
    ILogger<WaitingObjectSweeper> logger
) : Sweeper(SweepEvery, clock, logger)
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
        returning id, project_id, object_key, byte_length, concat(object_key, ' ', project_version)
        """;

    private const string ClaimReplacementsSql = """
        update pipeline.image_replacements r set object_check_at = now() + $1
        from (
            select x.image_id, i.project_version from pipeline.image_replacements x
            join pipeline.images i on i.id = x.image_id and i.deleted_at is null
            where x.object_check_at <= now()
            order by x.object_check_at limit $2 for update of x skip locked) as due
        where r.image_id = due.image_id
        returning r.image_id, r.project_id, r.object_key, r.byte_length,
                  concat(r.command_id, ' ', due.project_version)
        """;

    private const string PostponeSql = """
        update pipeline.images
        set object_checks = object_checks + 1,
            object_check_at = now() + least($2, make_interval(secs => power(2, least(object_checks, 20))))
        where id = $1 and object_key = $3 and not object_seen and object_check_at is not null
        """;

    private const string PostponeReplacementSql = """
        update pipeline.image_replacements
        set object_checks = object_checks + 1,
            object_check_at = now() + least($2, make_interval(secs => power(2, least(object_checks, 20))))
        where image_id = $1 and object_key = $3
        """;

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        var waiting = await ClaimAsync(ClaimSql, PostponeSql, stopping);
        waiting.AddRange(await ClaimAsync(ClaimReplacementsSql, PostponeReplacementSql, stopping));
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = ConcurrentLooks, CancellationToken = stopping };
        await Parallel.ForEachAsync(waiting, parallel, async (x, cancellation) => await LookAsync(x, cancellation));
    }

    private async Task<List<Waiting>> ClaimAsync(string claim, string postpone, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(claim);
        command.Parameters.AddWithValue(Claim);
        command.Parameters.AddWithValue(BatchLimit);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var waiting = new List<Waiting>();
        while (await row.ReadAsync(cancellation))
        {
            var (imageId, projectId) = (row.GetGuid(0), row.GetGuid(1));
            waiting.Add(new Waiting(imageId, projectId, row.GetString(2), row.GetInt64(3), row.GetString(4), postpone));
        }

        return waiting;
    }

    private async Task LookAsync(Waiting waiting, CancellationToken cancellation)
    {
        var stored = await store.HeadAsync(waiting.ObjectKey, cancellation);
        if (stored is null || stored.Size != waiting.ByteLength)
        {
            if (stored is not null)
                WrongSize(waiting.ImageId, waiting.ObjectKey, stored.Size, waiting.ByteLength);
            await using var postpone = source.CreateCommand(waiting.PostponeSql);
            postpone.Parameters.AddWithValue(waiting.ImageId);
            postpone.Parameters.AddWithValue(PauseLimit);
            postpone.Parameters.AddWithValue(waiting.ObjectKey);
            await postpone.ExecuteNonQueryAsync(cancellation);
            return;
        }

        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await ObjectCatalog.RecordAsync(connection, transaction, stored, Clock.GetUtcNow(), cancellation);

        // The same wish is the same command, however often it is looked for; wished for anew it is another.
        var commandId = NameBasedGuid.Create(waiting.ImageId, $"confirm-object {waiting.Wish}");
        var confirm = new ConfirmObject(commandId, waiting.ProjectId, waiting.ImageId, waiting.ObjectKey);
        await Outbox.AppendAsync(connection, transaction, [WireMessage.Command(confirm)], cancellation);
        await transaction.CommitAsync(cancellation);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Image {ImageId} is kept out of sight: '{ObjectKey}' has {Size} bytes instead of {Expected}"
    )]
    private partial void WrongSize(Guid imageId, string objectKey, long size, long expected);

    /// <param name="Wish">Tells one time of waiting for an object from another.</param>
    private sealed record Waiting(
        Guid ImageId,
        Guid ProjectId,
        string ObjectKey,
        long ByteLength,
        string Wish,
        string PostponeSql
    );
}
