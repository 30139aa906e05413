using System.Collections.Concurrent;
using Npgsql;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Uploads;

/// <summary>
/// Clears away what nobody came back for: uploads that were not confirmed or whose import has ended without deleting
/// them, renderings that lost, multipart uploads without an end.
/// </summary>
/// <remarks>
/// Runs in every process; whoever moves a kind's appointment on does it. A sweep does a bounded share, and the next one
/// goes on behind its last key. Anything younger than the grace time is left alone.
/// </remarks>
internal sealed partial class UploadSweeper(
    NpgsqlDataSource source,
    IImageStore store,
    Leftovers leftovers,
    UploadOptions options,
    UploadMetrics metrics,
    TimeProvider clock,
    ILogger<UploadSweeper> logger
) : Sweeper(options.SweepEvery, clock, logger)
{
    private const int PageLimit = 20;
    private const int ConcurrentLooks = 8;
    private const string Multipart = "multipart";

    private static readonly string[] Prefixes = [ObjectKeys.UploadsPrefix, ObjectKeys.GeneratedPrefix];

    private const string ClaimSql = """
        insert into pipeline.upload_sweeps as s (kind, due_at) values ($1, now() + $2)
        on conflict (kind) do update set due_at = excluded.due_at where s.due_at <= now()
        returning after_key
        """;

    private const string GoOnSql = "update pipeline.upload_sweeps set after_key = $2 where kind = $1";

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        foreach (var prefix in Prefixes)
            await SweepAsync(prefix, stopping);
        await SweepMultipartAsync(stopping);
    }

    private async Task SweepAsync(string prefix, CancellationToken stopping)
    {
        if (await ClaimAsync(prefix, stopping) is not { } claim)
            return;

        var after = claim.AfterKey;
        for (var pages = 0; pages < PageLimit; pages++)
        {
            var page = await store.ListAfterAsync(after ?? prefix, IImageStore.PageSize, stopping);
            var under = page.Objects.TakeWhile(x => x.Key.StartsWith(prefix, StringComparison.Ordinal)).ToList();
            var old = under.Where(x => IsOurs(x.Key) && IsOld(x.LastModified)).Select(x => x.Key).ToList();
            if (old.Count > 0)
            {
                if (!await leftovers.NoImportWaitsAsync(stopping))
                {
                    Postponed(old.Count, prefix);
                    return;
                }

                await DeleteAsync(prefix, await leftovers.AmongAsync(old, stopping), stopping);
            }

            var isLast = page.Continuation is null || under.Count < page.Objects.Count;
            after = isLast ? null : under[^1].Key;
            await GoOnAsync(prefix, after, stopping);
            if (isLast)
                return;
        }
    }

    private async Task DeleteAsync(string prefix, List<string> keys, CancellationToken stopping)
    {
        var deleted = new ConcurrentBag<string>();
        await Parallel.ForEachAsync(
            keys,
            new ParallelOptions { MaxDegreeOfParallelism = ConcurrentLooks, CancellationToken = stopping },
            async (key, cancellation) =>
            {
                // Somebody may have put it anew since it was listed.
                if (await store.HeadAsync(key, cancellation) is not { } found || !IsOld(found.LastModified))
                    return;
                await store.DeleteAsync(key, cancellation);
                deleted.Add(key);
            }
        );
        if (deleted.IsEmpty)
            return;
        await ObjectCatalog.RemoveAsync(source, deleted, stopping);
        metrics.Swept(deleted.Count, prefix.TrimEnd('/'));
        Swept(deleted.Count, prefix);
    }

    private async Task SweepMultipartAsync(CancellationToken stopping)
    {
        if (await ClaimAsync(Multipart, stopping) is null)
            return;

        UnfinishedUpload? last = null;
        var aborted = 0;
        for (var pages = 0; pages < PageLimit; pages++)
        {
            var page = await store.ListUnfinishedAsync(last, stopping);
            foreach (var upload in page.Where(x => IsOld(x.BegunAt)))
            {
                await store.AbortAsync(upload, stopping);
                aborted++;
            }

            if (page.Count < IImageStore.PageSize)
                break;
            last = page[^1];
        }

        if (aborted == 0)
            return;
        metrics.Swept(aborted, Multipart);
        Swept(aborted, Multipart);
    }

    // What somebody else keeps under our prefixes is theirs.
    private static bool IsOurs(string key) => ObjectKeys.IsUpload(key) || ObjectKeys.IsGenerated(key);

    private bool IsOld(DateTimeOffset at) => at < Clock.GetUtcNow() - options.Grace;

    private async Task<Claim?> ClaimAsync(string kind, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(ClaimSql);
        command.Parameters.AddWithValue(kind);
        command.Parameters.AddWithValue(options.SweepEvery);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation) ? new Claim(row.IsDBNull(0) ? null : row.GetString(0)) : null;
    }

    private async Task GoOnAsync(string kind, string? after, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(GoOnSql);
        command.Parameters.AddWithValue(kind);
        command.Parameters.AddWithValue((object?)after ?? DBNull.Value);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private sealed record Claim(string? AfterKey);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} abandoned objects of {Kind} are cleared away")]
    private partial void Swept(int count, string kind);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "{Count} old objects under {Prefix} stay until no import waits in its queue"
    )]
    private partial void Postponed(int count, string prefix);
}
