using System.Collections.Concurrent;
using Npgsql;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Uploads;

/// <summary>
/// Clears leftovers away. One that the store refuses to delete, such as one with a legal hold, is counted, logged and
/// met again in the next round: the others do not wait for it.
/// </summary>
internal sealed partial class LeftoverRemoval(
    NpgsqlDataSource source,
    IImageStore store,
    UploadMetrics metrics,
    ILogger<LeftoverRemoval> logger
)
{
    private const int ConcurrentLooks = 8;

    /// <param name="kind">For counters and logs.</param>
    /// <param name="keys">Objects that nobody needs.</param>
    /// <param name="isOld">Asked once more about each: somebody may have put it anew since it was listed.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <exception cref="StorageUnavailableException">Some may be deleted. Worth a later try.</exception>
    public async Task DeleteAsync(
        string kind,
        IEnumerable<string> keys,
        Func<DateTimeOffset, bool> isOld,
        CancellationToken cancellation
    )
    {
        var (deleted, refused) = (new ConcurrentBag<string>(), new ConcurrentBag<(string Key, string Reason)>());
        try
        {
            await Parallel.ForEachAsync(
                keys,
                new ParallelOptions { MaxDegreeOfParallelism = ConcurrentLooks, CancellationToken = cancellation },
                async (key, token) =>
                {
                    try
                    {
                        if (await store.HeadAsync(key, token) is not { } found || !isOld(found.LastModified))
                            return;
                        await store.DeleteAsync(key, token);
                        deleted.Add(key);
                    }
                    catch (Exception e) when (IsOfOne(e, token))
                    {
                        refused.Add((key, e.Message));
                    }
                }
            );
        }
        finally
        {
            // Also where the store goes away in the middle: what is gone is gone.
            if (!deleted.IsEmpty)
                await ObjectCatalog.RemoveAsync(source, deleted, cancellation);
            Report(kind, deleted.Count, [.. refused]);
        }
    }

    /// <summary>Aborts multipart uploads.</summary>
    /// <inheritdoc cref="DeleteAsync" path="/exception"/>
    public async Task AbortAsync(string kind, IEnumerable<UnfinishedUpload> uploads, CancellationToken cancellation)
    {
        var aborted = 0;
        var refused = new List<(string Key, string Reason)>();
        try
        {
            foreach (var upload in uploads)
            {
                try
                {
                    await store.AbortAsync(upload, cancellation);
                    aborted++;
                }
                catch (Exception e) when (IsOfOne(e, cancellation))
                {
                    refused.Add((upload.Key, e.Message));
                }
            }
        }
        finally
        {
            Report(kind, aborted, refused);
        }
    }

    // A store that is away is away for all of them.
    private static bool IsOfOne(Exception e, CancellationToken cancellation) =>
        e is not (StorageUnavailableException or OutOfMemoryException) && !cancellation.IsCancellationRequested;

    private void Report(string kind, int cleared, List<(string Key, string Reason)> refused)
    {
        if (cleared > 0)
        {
            metrics.Swept(cleared, kind);
            Swept(cleared, kind);
        }

        if (refused.Count == 0)
            return;
        metrics.Refused(refused.Count, kind);
        Refused(refused.Count, kind, refused[0].Key, refused[0].Reason);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} abandoned objects of {Kind} are cleared away")]
    private partial void Swept(int count, string kind);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{Count} abandoned objects of {Kind} cannot be cleared away, such as {Key}: {Error}"
    )]
    private partial void Refused(int count, string kind, string key, string error);
}
