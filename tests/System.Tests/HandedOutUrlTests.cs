using System.Collections.Concurrent;
using System.Net;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>Somebody keeps every URL that was ever handed out, and uses each until its <c>expiresAt</c>.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class HandedOutUrlTests(ITestOutputHelper output) : DeletionStack
{
    private const int Pictures = 4;
    private const int Replacements = 5;

    private const string UrlsSql = "select image_id, version, url, expires_at from status.image_urls";

    // One with less than 30 s left is not stored.
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(40);

    private readonly ConcurrentDictionary<string, HandedOut> _urls = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Guid, int> _deleted = new();
    private readonly ConcurrentQueue<string> _broken = new();
    private readonly HttpClient _client = new();

    private protected override string UrlSweepEvery => "00:00:00.050";

    // Without a retention of their own, replaced bytes are kept for nothing but their URLs.
    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [.. base.WorkerSettings, ("Urls__Lifetime", $"{Lifetime:c}"), ("Urls__RefreshAhead", "00:00:15")];

    [Fact]
    public async Task Each_works_until_its_end_while_pictures_are_replaced_and_others_deleted()
    {
        HostWorker("worker-1");
        HostWorker("worker-2");
        using var stop = new CancellationTokenSource();
        var reader = ReadAsync(stop.Token);
        var pictures = new List<(Guid Project, Guid Image)>();
        for (var i = 0; i < Pictures; i++)
            pictures.Add(await ShownAsync($"first {i}"));

        for (var version = 2; version <= Replacements + 1; version++)
        {
            foreach (var (project, image) in pictures)
            {
                await UntilAsync("a URL of the version before", () => Task.FromResult(HasUrl(image, version - 1)));
                await StoreAsync(project, image, $"{image} {version}");
                await SendAsync(WireMessage.Command(Replace(project, image, $"{image} {version}")));
            }

            if (version == 3)
                await DeleteAsync(pictures[0]);
            if (version == 3)
                pictures.RemoveAt(0);
        }

        await UntilAsync(
            "a URL of the last version",
            () => Task.FromResult(pictures.All(x => HasUrl(x.Image, Replacements + 1)))
        );
        var replaced = _urls.Values.Where(x => x.Version <= Replacements && !_deleted.ContainsKey(x.ImageId)).ToList();
        await UntilAsync(
            "those of replaced bytes have expired",
            () => Task.FromResult(replaced.TrueForAll(x => x.ExpiresAt < DateTimeOffset.UtcNow))
        );
        await stop.CancelAsync();
        var reads = await reader;
        output.WriteLine($"{_urls.Count} URLs, {reads} reads");
        _broken.ShouldBeEmpty();
        replaced.Count.ShouldBeGreaterThanOrEqualTo((Pictures - 1) * Replacements);
        replaced.ShouldAllBe(x => x.Reads > 3);
        // They are kept no longer than that.
        await UntilAsync(
            "the bytes of replaced versions are purged",
            async () => (await Bucket.KeysAsync("projects/")).Count == pictures.Count
        );
        await ShouldBeCleanAsync();
    }

    private async Task DeleteAsync((Guid Project, Guid Image) picture)
    {
        // What is deleted is gone at once, also for those who have its URL.
        _deleted[picture.Image] = 1;
        var delete = Delete(picture.Project, picture.Image);
        await SendAsync(WireMessage.Command(delete));
        await UntilCompletedAsync(delete.CommandId);
    }

    private bool HasUrl(Guid image, int version) => _urls.Values.Any(x => x.ImageId == image && x.Version == version);

    /// <returns>How many reads there were; those of a URL that did not work before its end are kept.</returns>
    private async Task<int> ReadAsync(CancellationToken stop)
    {
        var reads = 0;
        while (!stop.IsCancellationRequested)
        {
            foreach (
                var (image, version, url, expiresAt) in await RowsAsync(
                    UrlsSql,
                    x => (x.GetGuid(0), x.GetInt32(1), x.GetString(2), x.GetFieldValue<DateTimeOffset>(3))
                )
            )
                _urls.TryAdd(url, new HandedOut(image, version, expiresAt));
            foreach (var (url, handedOut) in _urls)
            {
                using var answer = await _client.GetAsync(url, CancellationToken.None);
                var isOver = DateTimeOffset.UtcNow >= handedOut.ExpiresAt || _deleted.ContainsKey(handedOut.ImageId);
                if (isOver)
                    continue;
                if (answer.StatusCode != HttpStatusCode.OK)
                    _broken.Enqueue(
                        $"{answer.StatusCode}: version {handedOut.Version}, {handedOut.ExpiresAt - DateTimeOffset.UtcNow} before its end"
                    );
                handedOut.Reads++;
                reads++;
            }
        }

        return reads;
    }

    private sealed record HandedOut(Guid ImageId, int Version, DateTimeOffset ExpiresAt)
    {
        public int Reads { get; set; }
    }
}
