using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Npgsql;
using Pipeline.Contracts.Urls;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>URLs on real processes: what readers get while refreshes fail and workers are killed.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class UrlTests(ITestOutputHelper output) : Stack
{
    private const int Pictures = 20;
    private const int Refreshes = 1_000;
    private const string Root = "/storage/v1/object/sign/";
    private readonly int _seed = Random.Shared.Next();
    private readonly ConcurrentDictionary<string, int> _calls = new(StringComparer.Ordinal);
    private readonly List<Guid> _commands = [];
    private HttpStub? _signer;
    private volatile bool _isFailing = true;

    /// <summary>Lives are short, so that URLs have to be renewed within the test as well.</summary>
    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            ("Urls__Lifetime", "00:01:00"),
            ("Urls__RefreshAhead", "00:00:20"),
            ("Urls__ClaimLength", "00:00:04"),
            ("Urls__CallTimeout", "00:00:01.5"),
            ("Urls__BackoffFirst", "00:00:00.200"),
            ("Urls__BackoffLimit", "00:00:01"),
            ("Urls__RestLength", "00:00:00.500"),
            ("Urls__SweepEvery", "00:00:00.200"),
            ("Urls__Variants__image__Chain", "supabase"),
            ("Urls__Variants__thumbnail__Chain", "supabase,s3"),
            ("Urls__Supabase__Url", _signer!.Url.ToString()),
            ("Urls__Supabase__Key", "service-key"),
        ];

    public override async Task InitializeAsync()
    {
        _signer = await HttpStub.StartAsync(SignAsync);
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _signer!.DisposeAsync();
    }

    [Fact]
    public async Task Reader_never_meets_an_empty_or_expired_url_while_refreshes_fail_and_workers_are_killed()
    {
        output.WriteLine($"seed {_seed}");
        var chance = new Random(_seed);
        var fleet = new[] { StartWorker("worker-1"), StartWorker("worker-2") };
        var images = await SavedAsync();
        await using var served = await PublisherProcess.ServeAsync(ReaderSettings());
        using var stop = new CancellationTokenSource();
        var reader = ReadAsync(served.Url, images, stop.Token);

        await using var publisher = NewPublisher();
        for (var round = 0; round < 5; round++)
        {
            var commands = Enumerable
                .Range(0, Refreshes / 5)
                .Select(x => new RefreshUrls(Guid.NewGuid(), null, images[x % Pictures], null, Force: true))
                .ToArray();
            _commands.AddRange(commands.Select(x => x.CommandId));
            await publisher.PublishAllAsync(
                commands.Select(x => WireMessage.Command(x, x.CommandId, Guid.Empty)),
                CancellationToken.None
            );
            var victim = chance.Next(fleet.Length);
            await UntilAsync("some are done", async () => await RefreshedAsync() >= round * Refreshes / 5 + 20);
            await fleet[victim].KillAsync();
            fleet[victim] = StartWorker($"worker-{victim + 1}-{round}");
        }

        await UntilAsync("every refresh", async () => await RefreshedAsync() == Refreshes, TimeSpan.FromMinutes(4));
        _isFailing = false;
        await stop.CancelAsync();
        var reads = await reader;

        var failed = await ScalarAsync<long>("select failed_last_day from status.url_health");
        var kept = await ScalarAsync<long>("select count(*) from status.receipts where reason like 'image: supabase%'");
        output.WriteLine($"{reads} reads; {failed} failed steps; {kept} refreshes that kept the old URL");
        reads.ShouldBeGreaterThan(100);
        kept.ShouldBeGreaterThan(50); // Else the test shows nothing.
        (await MessagesAsync("refresh-urls_error")).ShouldBe(0u);
    }

    /// <summary>Twenty pictures, shown, as a publisher's save leaves them.</summary>
    private async Task<Guid[]> SavedAsync()
    {
        var project = Guid.NewGuid();
        var saves = Enumerable.Range(0, Pictures).Select(x => Commands.Save(project, 1, x)).ToArray();
        await PlantObjectsAsync([.. saves.Select(x => x.ObjectKey)]);
        await using var publisher = NewPublisher();
        await publisher.PublishAsync(Commands.Storyboard(project, 1).ToWire(), CancellationToken.None);
        await publisher.PublishAllAsync(saves.Select(x => x.ToWire()), CancellationToken.None);
        await UntilAsync(
            "they are shown",
            async () => await ScalarAsync<long>("select count(*) from status.images where state = 'shown'") == Pictures
        );
        return [.. saves.Select(x => x.ImageId)];
    }

    /// <summary>Not those that the reader's own visits have caused.</summary>
    private Task<long> RefreshedAsync() =>
        ScalarAsync<long>("select count(*) from status.receipts where command_id = any($1)", _commands.ToArray());

    /// <summary>Polls publisher and view until told to stop; throws at the first URL that nobody could use.</summary>
    private async Task<int> ReadAsync(Uri publisher, Guid[] images, CancellationToken stop)
    {
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false })
        {
            BaseAddress = publisher,
        };
        var reads = 0;
        while (!stop.IsCancellationRequested)
        {
            var image = images[reads % images.Length];
            foreach (var path in new[] { $"/images/{image}/1", $"/images/{image}/1/thumbnail" })
            {
                using var answer = await client.GetAsync(path, CancellationToken.None);
                answer.StatusCode.ShouldBe(HttpStatusCode.Redirect);
                ShouldWork(answer.Headers.Location.ShouldNotBeNull().AbsoluteUri);
            }

            var urls = JsonSerializer.Deserialize<JsonElement>(
                await client.GetStringAsync($"/images/{image}/urls", CancellationToken.None)
            );
            urls.GetProperty("urls").GetArrayLength().ShouldBe(2);
            foreach (var url in urls.GetProperty("urls").EnumerateArray())
                ShouldWork(url.GetProperty("url").GetString().ShouldNotBeNull());
            foreach (var url in await RowsAsync("select url from status.image_urls", x => x.GetString(0)))
                ShouldWork(url);
            reads++;
        }

        return reads;
    }

    /// <summary>The URL itself says when it ends: the stub's in its token, S3's in its query.</summary>
    private static void ShouldWork(string url)
    {
        url.ShouldNotBeNullOrEmpty();
        var query = System.Web.HttpUtility.ParseQueryString(new Uri(url).Query);
        var ends = query["token"] is { } token
            ? DateTimeOffset.FromUnixTimeSeconds(long.Parse(token, CultureInfo.InvariantCulture))
            : DateTimeOffset.ParseExact(
                query["X-Amz-Date"]!,
                "yyyyMMdd'T'HHmmss'Z'",
                null,
                DateTimeStyles.AssumeUniversal
            ) + TimeSpan.FromSeconds(long.Parse(query["X-Amz-Expires"]!, CultureInfo.InvariantCulture));
        ends.ShouldBeGreaterThan(DateTimeOffset.UtcNow, url);
    }

    /// <summary>Every third call of a picture fails, in one of three ways.</summary>
    private async Task SignAsync(HttpContext context, int number)
    {
        using var body = await JsonDocument.ParseAsync(context.Request.Body);
        var key = context.Request.Path.Value![Root.Length..];
        var call = _calls.AddOrUpdate(key, 1, (_, earlier) => earlier + 1);
        if (_isFailing && call > 2 && call % 3 == 0)
        {
            context.Response.StatusCode = (call / 3 % 3) switch
            {
                0 => 400,
                1 => 503,
                _ => 401,
            };
            await context.Response.WriteAsync("""{"message":"not now"}""");
            return;
        }

        var ends = DateTimeOffset.UtcNow.ToUnixTimeSeconds() + body.RootElement.GetProperty("expiresIn").GetInt64();
        await context.Response.WriteAsync($$"""{"signedURL":"/object/sign/{{key}}?token={{ends}}"}""");
    }

    private Dictionary<string, string> ReaderSettings() =>
        new(StringComparer.Ordinal)
        {
            ["Publisher__RabbitMq"] = Broker.ToString(),
            ["ConnectionStrings__Status"] = new NpgsqlConnectionStringBuilder(Required("ConnectionStrings__Status"))
            {
                Database = new NpgsqlConnectionStringBuilder(Settings["ConnectionStrings__Postgres"]).Database,
            }.ConnectionString,
        };
}
