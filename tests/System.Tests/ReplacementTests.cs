using System.Net;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Urls;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>Replacements among saves, refreshes, deletions and restorations of the same picture from several publishers.</summary>
public sealed class ReplacementTests(ITestOutputHelper output) : DeletionStack
{
    private const int Rounds = 6;
    private const int Publishers = 4;
    private const int CommandsEach = 8;

    private readonly HttpClient _client = new();
    private long _refreshes;

    // Deletions can be taken back within the test, so that the last command decides whatever came before.
    private protected override string GracePeriod => "01:00:00";

    private protected override string UrlSweepEvery => "00:00:00.100";

    [Fact]
    public async Task Last_command_in_the_queue_decides_and_no_url_leads_to_missing_bytes()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        HostWorker("worker-1");
        HostWorker("worker-2");
        using var stop = new CancellationTokenSource();
        var reader = ReadAsync(stop.Token);

        for (var round = 1; round <= Rounds; round++)
        {
            var (project, image) = await ShownAsync($"first {round}");
            var isDeleted = round % 2 == 0;
            if (!isDeleted)
                await StoreAsync(project, image, $"last {round}");
            var plans = Enumerable
                .Range(0, Publishers)
                .Select(x =>
                    Enumerable.Range(0, CommandsEach).Select(y => (Kind: random.Next(5), Bytes: $"{round} {x} {y}"))
                )
                .Select(x => x.ToArray())
                .ToArray();
            foreach (var (kind, bytes) in plans.SelectMany(x => x).Where(x => x.Kind < 2))
                await StoreAsync(project, image, bytes);

            await Task.WhenAll(
                plans.Select(async plan =>
                {
                    await using var publisher = NewPublisher();
                    foreach (var (kind, bytes) in plan)
                        await publisher.PublishAsync(CommandOf(kind, project, image, bytes), CancellationToken.None);
                })
            );

            // All are confirmed: what is sent now stands at the end of the lane.
            var last = isDeleted
                ? WireMessage.Command(Delete(project, image))
                : WireMessage.Command(Replace(project, image, $"last {round}"));
            await SendAsync(WireMessage.Command(new RestoreImage(Guid.NewGuid(), project, image)), last);
            await UntilAsync("the last receipt", async () => await OutcomeAsync(last.MessageId) != "none");

            (await OutcomeAsync(last.MessageId)).ShouldBe("applied", $"round {round}");
            (await StateAsync(image)).ShouldBe(isDeleted ? "deleted" : "shown", $"round {round}");
            if (!isDeleted)
            {
                (await ScalarAsync<string>("select object_key from status.images where id = $1", image)).ShouldBe(
                    KeyOf(project, image, $"last {round}")
                );
                await UntilAsync("its URL", async () => (await UrlsAsync(image)).Count == 2);
                foreach (var url in await UrlsAsync(image))
                    (await _client.GetStringAsync(url)).ShouldBe($"last {round}");
            }
            else
                (await UrlsAsync(image)).ShouldBeEmpty();
        }

        await UntilAsync(
            "the receipt of every refresh",
            async () =>
                await ScalarAsync<long>("select count(*) from status.receipts where command = 'refresh-urls'")
                == _refreshes
        );
        await stop.CancelAsync();
        (await reader).ShouldBeGreaterThan(20);
        await ShouldBeCleanAsync();
        (await ScalarAsync<long>("select count(*) from status.receipts where outcome = 'failed'")).ShouldBe(0);
    }

    [Fact]
    public async Task Replacement_is_shown_when_its_object_comes_also_after_a_deletion_that_was_taken_back()
    {
        HostWorker("worker-1");
        var (project, image) = await ShownAsync("first");
        var replace = Replace(project, image, "second");
        await SendAsync(
            WireMessage.Command(replace),
            WireMessage.Command(Delete(project, image)),
            WireMessage.Command(new RestoreImage(Guid.NewGuid(), project, image))
        );
        await UntilReceiptsAsync(4);
        (await OutcomeAsync(replace.CommandId)).ShouldBe("target-missing");
        (await ScalarAsync<string>("select concat(state, version, replacement_key) from status.images")).ShouldBe(
            $"shown1{replace.ObjectKey}"
        );

        await Bucket.PutAsync(replace.ObjectKey, "second"u8.ToArray());

        await UntilAsync(
            "the new bytes",
            async () => await ScalarAsync<string>("select concat(state, version) from status.images") == "shown2"
        );
        await ShouldBeCleanAsync();
    }

    private WireMessage CommandOf(int kind, Guid project, Guid image, string bytes) =>
        kind switch
        {
            0 => WireMessage.Command(Save(project, image, bytes)),
            1 => WireMessage.Command(Replace(project, image, bytes)),
            2 => WireMessage.Command(Delete(project, image)),
            3 => WireMessage.Command(new RestoreImage(Guid.NewGuid(), project, image)),
            _ => Refresh(project, image),
        };

    private WireMessage Refresh(Guid project, Guid image)
    {
        Interlocked.Increment(ref _refreshes);
        var refresh = new RefreshUrls(Guid.NewGuid(), project, image, ImageVersion: null, Force: true);
        return WireMessage.Command(refresh, refresh.CommandId, project);
    }

    private Task<List<string>> UrlsAsync(Guid image) =>
        RowsAsync("select url from status.image_urls where image_id = $1", x => x.GetString(0), image);

    /// <summary>Fetches every URL that is handed out; one that leads nowhere must have been taken back meanwhile.</summary>
    /// <returns>How many were fetched.</returns>
    private async Task<int> ReadAsync(CancellationToken stop)
    {
        var reads = 0;
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!stop.IsCancellationRequested)
        {
            await pace.WaitForNextTickAsync(CancellationToken.None);
            foreach (var url in await RowsAsync("select url from status.image_urls", x => x.GetString(0)))
            {
                using var answer = await _client.GetAsync(url, CancellationToken.None);
                if (answer.StatusCode != HttpStatusCode.OK)
                    (await ScalarAsync<long>("select count(*) from status.image_urls where url = $1", url)).ShouldBe(
                        0,
                        $"{answer.StatusCode} {url}"
                    );
                reads++;
            }
        }

        return reads;
    }
}
