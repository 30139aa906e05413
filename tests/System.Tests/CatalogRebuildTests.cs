using System.Diagnostics;
using Pipeline.Contracts.Cataloguing;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>
/// Rebuilds on real processes over the real S3 server. <c>PIPELINE_CATALOG_KEYS</c> says how many objects there are; the
/// pages are a hundred either way.
/// </summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class CatalogRebuildTests(ITestOutputHelper output) : CatalogStack
{
    private const int Pages = 100;
    private const int KeysDefault = 4_000;
    private const int ConcurrentPuts = 64;
    private const long MemoryLimit = 300_000_000;

    private static readonly int Keys = Environment.GetEnvironmentVariable("PIPELINE_CATALOG_KEYS") is { } text
        ? int.Parse(text)
        : KeysDefault;

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            .. base.WorkerSettings,
            ("DOTNET_gcServer", "1"), // memory is judged here: with the collector that installations have
            ("Cataloguing__PageSize", $"{Math.Min(1_000, Keys / Pages)}"),
            ("Cataloguing__StaleAfter", "00:00:30"),
        ];

    [Fact]
    public async Task Catalogue_equals_the_bucket_though_workers_are_killed_while_objects_come_and_go()
    {
        var seed = Environment.TickCount;
        var doomed = Enumerable.Range(0, Keys / 20).Select(x => $"{14_000 + x}.jpg").ToList();
        var throughout = Enumerable.Range(0, Keys - doomed.Count).Select(KeyOf).ToList();
        var watch = Stopwatch.StartNew();
        await PutAllAsync([.. throughout, .. doomed]);
        output.WriteLine($"seed {seed}; {Keys} objects put in {watch.Elapsed.TotalSeconds:F1} s");

        var (first, second) = (StartWorker("worker-1"), StartWorker("worker-2"));
        await using var publisher = NewPublisher();
        watch.Restart();
        await RebuildAsync(publisher, during: null);
        output.WriteLine($"first rebuild, from nothing: {watch.Elapsed.TotalSeconds:F1} s");
        (await ScalarAsync<long>("select count(*) from status.catalog")).ShouldBe(Keys);
        await PlantAsync(50);

        using var done = new CancellationTokenSource();
        var reader = ReadAsync(done.Token);
        var peaks = new List<long>();
        watch.Restart();
        await RebuildAsync(
            publisher,
            async rebuild =>
            {
                var traffic = TrafficAsync(publisher, doomed, seed, done.Token);
                await UntilPagesAsync(rebuild, Pages / 5);
                peaks.Add(await KillAsync(first));
                first = StartWorker("worker-1 again");
                await UntilPagesAsync(rebuild, 3 * Pages / 5);
                peaks.Add(await KillAsync(second));
                second = StartWorker("worker-2 again");
                return traffic;
            }
        );
        output.WriteLine($"second rebuild, under fire: {watch.Elapsed.TotalSeconds:F1} s, {Commands.Count} commands");
        peaks.AddRange([first.PeakBytes, second.PeakBytes]);
        await done.CancelAsync();
        var (reads, fewest) = await reader;

        await UntilReceiptsAsync(Commands.Count);
        var listed = await Bucket.KeysAsync();
        var catalogued = await RowsAsync("select key from status.catalog order by key", x => x.GetString(0));
        catalogued.ShouldBe(listed);
        (await ScalarAsync<long>("select objects from status.catalog_statistics")).ShouldBe(listed.Count);
        fewest.ShouldBe(throughout.Count);
        reads.ShouldBeGreaterThan(10);
        peaks.ShouldAllBe(x => x < MemoryLimit);
        output.WriteLine(
            $"{listed.Count} objects listed afterwards and as many catalogued; {reads} reads saw at least {fewest}; "
                + $"peak memory {string.Join(", ", peaks.Select(x => $"{x / 1024 / 1024} MiB"))}"
        );
    }

    // Three kinds of key: hashes under a folder, numbers, and what an encoder could spoil.
    private static string KeyOf(int number) =>
        (number % 10) switch
        {
            0 => $"keep/a+b %2F ünï/{number}🎉.png",
            < 6 => $"keep/{Hash(number)}/picture.png",
            _ => $"keep/{number:D7}.jpg",
        };

    private static string Hash(int number) =>
        Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(BitConverter.GetBytes(number)))[..16];

    private Task PutAllAsync(IEnumerable<string> keys) =>
        Parallel.ForEachAsync(
            keys,
            new ParallelOptions { MaxDegreeOfParallelism = ConcurrentPuts },
            async (key, _) => await Bucket.PutAsync(key, [1, 2, 3])
        );

    private Task UntilPagesAsync(Guid rebuild, long pages) =>
        UntilAsync(
            $"{pages} pages",
            async () =>
                await ScalarAsync<bool>(
                    "select pages >= $2 or ended_at is not null from status.catalog_rebuilds where id = $1",
                    rebuild,
                    pages
                )
        );

    private static async Task<long> KillAsync(WorkerProcess worker)
    {
        var peak = worker.PeakBytes;
        await worker.KillAsync();
        return peak;
    }

    /// <summary>Uploads and deletions, each told by a command, in random order until it is enough.</summary>
    private async Task TrafficAsync(ConfirmedPublisher publisher, List<string> doomed, int seed, CancellationToken done)
    {
        var random = new Random(seed);
        foreach (var key in doomed.OrderBy(_ => random.Next()))
        {
            if (done.IsCancellationRequested)
                return;
            await Bucket.Client.DeleteObjectAsync(Bucket.Name, key, CancellationToken.None);
            await TellAsync(publisher, id => new ForgetObject(id, key));
            // Before, between and behind what is being listed; and now and then the deleted one comes back.
            var fresh = random.Next(4) switch
            {
                0 => $"0-fresh/{random.Next()}.png",
                1 => $"keep-fresh/{random.Next()}.png",
                2 => $"zz-fresh/{random.Next()}.png",
                _ => key,
            };
            await Bucket.PutAsync(fresh, [1]);
            await TellAsync(publisher, id => new RecordObject(id, fresh));
        }
    }

    /// <summary>Polls as an application does.</summary>
    /// <returns>How often it looked, and the fewest objects that it saw of those that are there throughout.</returns>
    private async Task<(int Reads, long Fewest)> ReadAsync(CancellationToken done)
    {
        var (reads, fewest) = (0, long.MaxValue);
        while (!done.IsCancellationRequested)
        {
            var seen = await ScalarAsync<long>(
                "select count(*) from status.catalog where key >= 'keep/' and key < 'keep0'"
            );
            (reads, fewest) = (reads + 1, Math.Min(fewest, seen));
        }

        return (reads, fewest);
    }
}
