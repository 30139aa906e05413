using Amazon.S3;
using Amazon.S3.Model;
using Pipeline.Contracts.Generation;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>
/// Thousands of requests while the provider stumbles and worker processes are killed at random. Judged by the database,
/// the broker, the store and the provider's own count.
/// </summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class GenerationUnderFireTests(ITestOutputHelper output) : Stack
{
    private const string Model = "stub";
    private const int Requests = 2_000;
    private const int Projects = 20;
    private const int Workers = 3;
    private const int FailuresPerHundred = 10;
    private const int ModeratedEvery = 100;

    private readonly int _seed = Environment.TickCount;
    private ProviderStub? _provider;

    // One render a process: a kill loses at most the one call that its worker has in flight.
    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            .. _provider!.SettingsOf(Model),
            ("Rendering__ConcurrentRenders", "1"),
            ("Rendering__LeaseLength", "00:00:10"),
            ("Rendering__OutageThreshold", "1000"),
            ("Generation__AttemptLimit", "20"),
            ("Generation__BackoffFirst", "00:00:00.5"),
            ("Lanes__LeaseLength", "00:00:03"),
            ("Logging__LogLevel__Default", "Warning"),
        ];

    public override async Task InitializeAsync()
    {
        _provider = await ProviderStub.StartAsync(StumbleAsync);
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _provider!.DisposeAsync();
    }

    [Fact]
    public async Task Two_thousand_requests_end_exactly_once_though_workers_are_killed_and_the_provider_stumbles()
    {
        output.WriteLine($"seed {_seed}");
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var requests = NewRequests();
        var fleet = Enumerable.Range(0, Workers).Select(x => StartWorker($"worker-{x}")).ToArray();
        var publishing = PublishAsync(requests);
        var kills = await KillAtRandomAsync(fleet, watch);
        await publishing;
        await UntilAsync("every request has its end", async () => await EndedAsync() == Requests, Minutes(10));
        await UntilAsync("every queue is empty", async () => await this.PendingAsync() == 0, Minutes(5));
        foreach (var worker in fleet)
            await worker.StopAsync(); // What it had taken and not answered would come back, and be counted.
        (await this.PendingAsync()).ShouldBe(0);
        output.WriteLine(
            $"{watch.Elapsed}: {kills} kills, {_provider!.Calls} calls, {_provider.Failures} of them failed"
        );

        var moderated = requests.Count(x => IsModerated(x.Prompt));
        (await CountsAsync("select state, count(*) from status.generations group by 1 order by 1")).ShouldBe([
            $"Completed {Requests - moderated}",
            $"Rejected {moderated}",
        ]);
        (
            await CountsAsync(
                "select outcome, count(*) from status.receipts where command = 'generate-image' group by 1 order by 1"
            )
        ).ShouldBe([$"applied {Requests - moderated}", $"rejected {moderated}"]);
        await AssertPicturesAsync([.. requests.Where(x => !IsModerated(x.Prompt))]);
        kills.ShouldBeGreaterThan(5);
        _provider.Failures.ShouldBeInRange(Requests / 20, Requests / 5);
        _provider.Calls.ShouldBeLessThanOrEqualTo(Requests + _provider.Failures + kills);
        (await this.DeadLettersAsync()).ShouldBeEmpty();
    }

    /// <summary>Kills and restarts one worker after the other, each after a random number of requests has ended.</summary>
    private async Task<int> KillAtRandomAsync(WorkerProcess[] fleet, System.Diagnostics.Stopwatch watch)
    {
        var random = new Random(_seed);
        var kills = 0;
        for (var next = random.Next(50, 150); next < Requests * 9 / 10; next += random.Next(50, 150))
        {
            await UntilAsync($"{next} ends", async () => await EndedAsync() >= next, Minutes(10));
            output.WriteLine($"{watch.Elapsed}: {await EndedAsync()} ended");
            var victim = random.Next(Workers);
            await fleet[victim].KillAsync();
            kills++;
            fleet[victim] = StartWorker($"worker-{victim}, {kills}");
        }

        return kills;
    }

    /// <summary>Each one has its row, its object and its link, and there is no other.</summary>
    private async Task AssertPicturesAsync(GenerateImage[] wanted)
    {
        var images = await RowsAsync(
            "select id, project_id, object_key from status.images where state = 'shown'",
            x => (Id: x.GetGuid(0), Project: x.GetGuid(1), Key: x.GetString(2))
        );
        images.Select(x => x.Id).ShouldBe(wanted.Select(x => x.ImageId), ignoreOrder: true);

        var links = await RowsAsync(
            """
            select link #>> '{}' from status.project_documents d
            cross join jsonb_array_elements(d.document -> 'scenes') as scene
            cross join jsonb_array_elements(scene -> 'imageUrls') as link
            """,
            x => x.GetString(0)
        );
        links.ShouldBe(wanted.Select(x => $"/images/{x.ImageId}/1"), StringComparer.Ordinal, ignoreOrder: true);

        var stored = new List<string>();
        foreach (var project in wanted.Select(x => x.ProjectId).Distinct())
            stored.AddRange(await KeysAsync($"projects/{project}/"));
        stored.ShouldBe(images.Select(x => x.Key), StringComparer.Ordinal, ignoreOrder: true);
    }

    private static GenerateImage[] NewRequests()
    {
        var projects = Enumerable.Range(0, Projects).Select(_ => Guid.NewGuid()).ToArray();
        return
        [
            .. Enumerable
                .Range(0, Requests)
                .Select(x =>
                    Commands.Generate(Model, $"picture {x}") with
                    {
                        ProjectId = projects[x % Projects],
                        Slot = x / Projects,
                    }
                ),
        ];
    }

    private async Task PublishAsync(GenerateImage[] requests)
    {
        await using var publisher = NewPublisher();
        var storyboards = requests.Select(x => x.ProjectId).Distinct().Select(x => Commands.Storyboard(x, 1).ToWire());
        await publisher.PublishAllAsync(storyboards, CancellationToken.None);
        await publisher.PublishAllAsync(requests.Select(Commands.ToWire), CancellationToken.None);
    }

    /// <summary>The same for the same seed, whoever asks first.</summary>
    private Task<ProviderAnswer> StumbleAsync(string prompt, int call)
    {
        if (IsModerated(prompt))
            return Task.FromResult(ProviderAnswer.Moderation);
        var random = new Random(_seed ^ (int.Parse(prompt.Split(' ')[1]) * 64) ^ call);
        ProviderAnswer[] failures = [ProviderAnswer.ServerError, ProviderAnswer.Reset, ProviderAnswer.HalfAPicture];
        return Task.FromResult(
            random.Next(100) < FailuresPerHundred ? failures[random.Next(failures.Length)] : ProviderAnswer.Picture
        );
    }

    private static bool IsModerated(string prompt) => int.Parse(prompt.Split(' ')[1]) % ModeratedEvery == 0;

    private Task<long> EndedAsync() =>
        ScalarAsync<long>("select count(*) from status.receipts where command = 'generate-image'");

    private Task<List<string>> CountsAsync(string sql) => RowsAsync(sql, x => $"{x.GetString(0)} {x.GetInt64(1)}");

    private static TimeSpan Minutes(int minutes) => TimeSpan.FromMinutes(minutes);

    private static async Task<List<string>> KeysAsync(string prefix)
    {
        var settings = new AmazonS3Config
        {
            ServiceURL = Required("Storage__ServiceUrl"),
            ForcePathStyle = true,
            AuthenticationRegion = Required("Storage__Region"),
        };
        using var store = new AmazonS3Client(Required("Storage__AccessKey"), Required("Storage__SecretKey"), settings);
        var keys = new List<string>();
        var page = new ListObjectsV2Request { BucketName = Required("Storage__Bucket"), Prefix = prefix };
        do
        {
            var answer = await store.ListObjectsV2Async(page);
            keys.AddRange(answer.S3Objects?.Select(x => x.Key) ?? []);
            page.ContinuationToken = answer.NextContinuationToken;
        } while (page.ContinuationToken is not null);
        return keys;
    }
}
