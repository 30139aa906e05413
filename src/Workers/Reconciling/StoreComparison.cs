using System.Collections.Concurrent;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Reconciling;

/// <summary>A stretch of keys that was compared.</summary>
/// <param name="Last">The last key of it; null where nothing follows.</param>
/// <param name="Objects">Objects in it.</param>
/// <param name="Rows">Keys that the database knows in it.</param>
/// <param name="Findings">What does not agree.</param>
internal sealed record ComparedStretch(string? Last, int Objects, int Rows, IReadOnlyList<Finding> Findings);

/// <summary>Merges the bucket's listing with the database's keys, a bounded stretch at a time.</summary>
internal sealed class StoreComparison(IImageStore store, KnownKeys known)
{
    private const int StretchLimit = IImageStore.PageSize;
    private const int ConcurrentLooks = 8;

    /// <param name="after">The last key of the stretch before; empty for the first one.</param>
    /// <param name="cutoff">What was written later is in flight.</param>
    /// <param name="readBytes">Whether to read every picture and hash it.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <exception cref="StorageUnavailableException">Worth a retry.</exception>
    /// <exception cref="StorageMisconfiguredException">No retry helps.</exception>
    public async Task<ComparedStretch> CompareAsync(
        string after,
        DateTimeOffset cutoff,
        bool readBytes,
        CancellationToken cancellation
    )
    {
        var page = await store.ListAfterAsync(after.Length == 0 ? null : after, StretchLimit, cancellation);
        var last = page.Continuation is null ? null : page.Objects[^1].Key;
        var rows = await known.RangeAsync(after, last, StretchLimit, cutoff, cancellation);
        if (rows.Count == StretchLimit)
            last = rows[^1].Key; // There may be more of them before the page's end.

        var objects = page.Objects.Where(x => last is null || KeyOrder.Compare(x.Key, last) <= 0).ToList();
        var suspects = Merge(objects, rows)
            .Where(x => ObjectKeys.Problem(x.Key) is null && x.Compare(cutoff).Any())
            .Select(x => x.Key)
            .ToList();
        var findings = (await LookAgainAsync(suspects, cutoff, cancellation))
            .SelectMany(x => x.Compare(cutoff))
            .ToList();
        if (readBytes)
            findings.AddRange(await ReadAsync(Merge(objects, rows), cancellation));
        return new ComparedStretch(last, objects.Count, rows.Count, findings);
    }

    private static IEnumerable<KeyState> Merge(List<StoredObject> objects, List<KeyState> rows)
    {
        var byKey = objects.ToDictionary(x => x.Key, StringComparer.Ordinal);
        foreach (var row in rows)
            yield return row with
            {
                Object = byKey.GetValueOrDefault(row.Key),
            };
        var named = rows.Select(x => x.Key).ToHashSet(StringComparer.Ordinal);
        foreach (var stored in objects.Where(x => !named.Contains(x.Key)))
            yield return new KeyState(stored.Key, stored, Picture: null, Entry: null);
    }

    // Between the listing and the rows a picture may have come or gone: only what stays is a finding.
    private async Task<List<KeyState>> LookAgainAsync(
        List<string> keys,
        DateTimeOffset cutoff,
        CancellationToken cancellation
    )
    {
        var stored = new ConcurrentDictionary<string, StoredObject?>(StringComparer.Ordinal);
        await EachAsync(keys, async (x, token) => stored[x] = await store.HeadAsync(x, token), cancellation);
        var rows = await known.OfAsync(keys, cutoff, cancellation);
        return [.. rows.Select(x => x with { Object = stored[x.Key] })];
    }

    private async Task<IEnumerable<Finding>> ReadAsync(IEnumerable<KeyState> states, CancellationToken cancellation)
    {
        var found = new ConcurrentBag<Finding>();
        var whole = states.Where(x =>
            x is { Picture.IsExpected: true, Object: not null } && x.Object.Size == x.Picture.ByteLength
        );
        await EachAsync(
            whole,
            async (x, token) =>
            {
                if (
                    x.Picture is { } picture
                    && await store.HashAsync(x.Key, token) is { } hash
                    && hash != picture.Sha256
                )
                    found.Add(
                        new Finding(FindingKinds.HashDiffers, x.Key, picture, $"The bytes have the SHA-256 {hash}.")
                    );
            },
            cancellation
        );
        return found.OrderBy(x => x.Key, StringComparer.Ordinal);
    }

    private static Task EachAsync<T>(
        IEnumerable<T> items,
        Func<T, CancellationToken, Task> look,
        CancellationToken cancellation
    ) =>
        Parallel.ForEachAsync(
            items,
            new ParallelOptions { MaxDegreeOfParallelism = ConcurrentLooks, CancellationToken = cancellation },
            async (x, token) => await look(x, token)
        );
}
