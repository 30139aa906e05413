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
    LeftoverRemoval removal,
    ImportQueue imports,
    UploadOptions options,
    TimeProvider clock,
    ILogger<UploadSweeper> logger
) : Sweeper(options.SweepEvery, clock, logger)
{
    private const int PageLimit = 20;
    private const string Multipart = "multipart";

    private const string ClaimSql = """
        insert into pipeline.upload_sweeps as s (kind, due_at) values ($1, now() + $2)
        on conflict (kind) do update set due_at = excluded.due_at where s.due_at <= now()
        returning after_key
        """;

    private const string GoOnSql = "update pipeline.upload_sweeps set after_key = $2 where kind = $1";

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        await ByItselfAsync(ObjectKeys.UploadsPrefix, SweepUploadsAsync, stopping);
        await ByItselfAsync(ObjectKeys.GeneratedPrefix, SweepGeneratedAsync, stopping);
        await ByItselfAsync(Multipart, SweepMultipartAsync, stopping);
    }

    /// <summary>What is wrong with one kind does not stop the others.</summary>
    private async Task ByItselfAsync(
        string kind,
        Func<Claim, CancellationToken, Task> sweep,
        CancellationToken stopping
    )
    {
        try
        {
            if (await ClaimAsync(kind, stopping) is { } claim)
                await sweep(claim, stopping);
        }
        catch (Exception e) when (!stopping.IsCancellationRequested && e is not OutOfMemoryException)
        {
            KindFailed(Transience.IsOutage(e) || e is StorageUnavailableException ? null : e, kind, e.Message);
        }
    }

    private async Task SweepUploadsAsync(Claim claim, CancellationToken stopping)
    {
        // The import of an upload is sent within the grace time. One that may still wait keeps its upload.
        if (await imports.TakenUntilAsync(ObjectKeys.UploadsPrefix, stopping) is { } taken)
            await SweepAsync(
                ObjectKeys.UploadsPrefix,
                claim,
                Earlier(taken, Clock.GetUtcNow()) - options.Grace,
                stopping
            );
        else
            Postponed(ObjectKeys.UploadsPrefix);
    }

    private Task SweepGeneratedAsync(Claim claim, CancellationToken stopping) =>
        SweepAsync(ObjectKeys.GeneratedPrefix, claim, Clock.GetUtcNow() - options.Grace, stopping);

    private async Task SweepAsync(string prefix, Claim claim, DateTimeOffset before, CancellationToken stopping)
    {
        var after = claim.AfterKey;
        for (var pages = 0; pages < PageLimit; pages++)
        {
            var page = await store.ListAfterAsync(after ?? prefix, IImageStore.PageSize, stopping);
            var under = page.Objects.TakeWhile(x => x.Key.StartsWith(prefix, StringComparison.Ordinal)).ToList();
            var old = under.Where(x => IsOurs(x.Key) && x.LastModified < before).Select(x => x.Key).ToList();
            if (old.Count > 0)
            {
                var unwanted = await leftovers.AmongAsync(old, stopping);
                await removal.DeleteAsync(prefix.TrimEnd('/'), unwanted, modified => modified < before, stopping);
            }

            var isLast = page.Continuation is null || under.Count < page.Objects.Count;
            after = isLast ? null : under[^1].Key;
            await GoOnAsync(prefix, after, stopping);
            if (isLast)
                return;
        }
    }

    private async Task SweepMultipartAsync(Claim claim, CancellationToken stopping)
    {
        var before = Clock.GetUtcNow() - options.Grace;
        UnfinishedUpload? last = null;
        for (var pages = 0; pages < PageLimit; pages++)
        {
            var page = await store.ListUnfinishedAsync(last, stopping);
            await removal.AbortAsync(Multipart, page.Uploads.Where(x => x.BegunAt < before), stopping);
            last = page.Continuation;
            if (last is null)
                return;
        }
    }

    // What somebody else keeps under our prefixes is theirs.
    private static bool IsOurs(string key) => ObjectKeys.IsUpload(key) || ObjectKeys.IsGenerated(key);

    private static DateTimeOffset Earlier(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;

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

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leftovers of {Kind} are looked for again later: {Error}")]
    private partial void KindFailed(Exception? exception, string kind, string error);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Old objects under {Prefix} stay until it is known that no import of them waits in its queue"
    )]
    private partial void Postponed(string prefix);
}
