using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Pipeline.Contracts.Urls;
using Pipeline.Publisher.Serving;
using Pipeline.Publisher.Settings;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Serving;

/// <summary>What a reader of pictures gets, whatever the cache holds.</summary>
public sealed class UrlEndpointsTests(ScratchServers servers) : ServedPublisher(servers)
{
    private const string Url = "http://store.test/picture";
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    [Fact]
    public async Task Cached_url_outside_its_window_is_redirected_to_and_nobody_is_asked()
    {
        await using var queue = await Scratch.RouteAsync("refresh-urls");
        var image = await SignedAsync(refreshIn: TimeSpan.FromMinutes(3), expiresIn: TimeSpan.FromMinutes(37.3));

        using var answer = await Client.GetAsync($"/images/{image}/1");
        using var again = await Client.GetAsync($"/images/{image}/1");

        answer.StatusCode.ShouldBe(HttpStatusCode.Redirect);
        answer.Headers.Location.ShouldBe(new Uri(Url + "/image"));
        again.Headers.Location.ShouldBe(answer.Headers.Location);
        answer.Headers.CacheControl.ShouldNotBeNull().Private.ShouldBeTrue();
        answer
            .Headers.CacheControl.MaxAge.ShouldNotBeNull()
            .ShouldBeInRange(TimeSpan.FromSeconds(100), TimeSpan.FromMinutes(3));
        answer.Headers.Contains(ImageEndpoints.DegradedHeader).ShouldBeFalse();
        (await queue.MessageCountAsync("refresh-urls")).ShouldBe(0u);
    }

    [Fact]
    public async Task Reader_that_knows_the_redirect_gets_304()
    {
        var image = await SignedAsync(Day, 2 * Day);
        using var first = await Client.GetAsync($"/images/{image}/1");
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/images/{image}/1");
        request.Headers.IfNoneMatch.Add(first.Headers.ETag.ShouldNotBeNull());

        using var second = await Client.SendAsync(request);

        second.StatusCode.ShouldBe(HttpStatusCode.NotModified);
        second.Headers.ETag.ShouldBe(first.Headers.ETag);
    }

    [Fact]
    public async Task Variants_have_paths_of_their_own()
    {
        var image = await SignedAsync(Day, 2 * Day);

        using var answer = await Client.GetAsync($"/images/{image}/1/thumbnail");

        answer.Headers.Location.ShouldBe(new Uri(Url + "/thumbnail"));
        await ShouldBeProblemAsync(await Client.GetAsync($"/images/{image}/1/huge"), 404, "variant-not-found");
        await ShouldBeProblemAsync(await Client.GetAsync($"/images/{image}/2"), 404, "image-not-found");
    }

    [Fact]
    public async Task Many_readers_of_two_publishers_in_the_window_get_the_old_url_and_ask_under_one_id()
    {
        await using var queue = await Scratch.RouteAsync("refresh-urls");
        await queue.QueuePurgeAsync("refresh-urls");
        var image = await SignedAsync(TimeSpan.FromMinutes(-1), TimeSpan.FromMinutes(20));
        await using var other = PublisherApp.Build(new PublisherSettings(Scratch.Configuration), TimeProvider.System);
        await other.StartAsync();
        using var otherClient = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false })
        {
            BaseAddress = new Uri(other.Urls.Single()),
        };

        var answers = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(i => (i % 2 == 0 ? Client : otherClient).GetAsync($"/images/{image}/1"))
        );

        answers.ShouldAllBe(x => x.Headers.Location == new Uri(Url + "/image"));
        answers.ShouldAllBe(x => x.Headers.CacheControl!.MaxAge <= TimeSpan.FromSeconds(5));
        var asked = new List<RefreshUrls>();
        await UntilAsync(async () =>
        {
            while (await queue.BasicGetAsync("refresh-urls", autoAck: true) is { } message)
                asked.Add(JsonSerializer.Deserialize<RefreshUrls>(message.Body.Span, WireJson.Options)!);
            return asked.Count == 2; // One from each process.
        });
        asked.Distinct().Count().ShouldBe(1); // The worker knows the second by the first one's receipt.
        asked[0].ImageId.ShouldBe(image);
        asked[0].ImageVersion.ShouldBe(1);
        asked[0].Force.ShouldBeFalse();
    }

    [Fact]
    public async Task Reader_without_a_cached_url_gets_one_that_works_even_if_no_worker_answers()
    {
        await using var queue = await Scratch.RouteAsync("refresh-urls");
        var key = $"projects/{Project}/picture.png";
        await Scratch.Store.PutObjectAsync(
            new()
            {
                BucketName = Scratch.Bucket,
                Key = key,
                ContentBody = "bytes",
            }
        );
        await Scratch.ProjectAsync(Project, version: 1);
        var image = await Scratch.ImageAsync(Project, "s", slot: 0, key: key);
        await Scratch.UrlAsync(image, "image", Url, -Day, TimeSpan.FromSeconds(-1));

        using var answer = await Client.GetAsync($"/images/{image}/1");

        answer.StatusCode.ShouldBe(HttpStatusCode.Redirect);
        (await Client.GetStringAsync(answer.Headers.Location)).ShouldBe("bytes");
        answer.Headers.GetValues(ImageEndpoints.DegradedHeader).Single().ShouldBe("true");
        DateTimeOffset
            .Parse(answer.Headers.GetValues(ImageEndpoints.ExpiresHeader).Single())
            .ShouldBeGreaterThan(DateTimeOffset.UtcNow);
        answer
            .Headers.CacheControl.ShouldNotBeNull()
            .MaxAge.ShouldNotBeNull()
            .ShouldBeLessThan(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Reader_that_meets_an_expired_url_waits_for_the_workers()
    {
        await using var queue = await Scratch.RouteAsync("refresh-urls");
        await queue.QueuePurgeAsync("refresh-urls");
        await Scratch.ProjectAsync(Project, version: 1);
        var image = await Scratch.ImageAsync(Project, "s", slot: 0);
        await Scratch.UrlAsync(image, "image", Url, -Day, TimeSpan.FromSeconds(-1));
        await Scratch.UrlAsync(image, "thumbnail", Url, Day, 2 * Day);

        var reading = Client.GetAsync($"/images/{image}/1");
        await UntilAsync(async () => await queue.MessageCountAsync("refresh-urls") == 1);
        await Scratch.SqlAsync(
            "update pipeline.image_urls set url = $2, expires_at = now() + interval '1 day' where image_id = $1",
            image,
            Url + "/new"
        );
        using var answer = await reading;

        answer.Headers.Location.ShouldBe(new Uri(Url + "/new"));
    }

    [Fact]
    public async Task Urls_of_a_project_tell_their_end_their_step_and_what_went_wrong_before_it()
    {
        var image = await SignedAsync(Day, 2 * Day, isDegraded: true);

        using var answer = await Client.GetAsync($"/projects/{Project}/urls");

        var picture = (await answer.Content.ReadFromJsonAsync<JsonElement>())
            .GetProperty("pictures")
            .EnumerateArray()
            .Single();
        picture.GetProperty("imageId").GetGuid().ShouldBe(image);
        var url = picture.GetProperty("urls")[0];
        url.GetProperty("variant").GetString().ShouldBe("image");
        url.GetProperty("url").GetString().ShouldBe(Url + "/image");
        url.GetProperty("link").GetString().ShouldBe($"/images/{image}/1");
        url.GetProperty("degraded").GetBoolean().ShouldBeTrue();
        url.GetProperty("expiresAt").GetDateTimeOffset().ShouldBeGreaterThan(DateTimeOffset.UtcNow);
        url.GetProperty("steps")[0].GetProperty("reason").GetString().ShouldBe("503.");
        using var again = new HttpRequestMessage(HttpMethod.Get, $"/projects/{Project}/urls");
        again.Headers.IfNoneMatch.Add(answer.Headers.ETag.ShouldNotBeNull());
        (await Client.SendAsync(again)).StatusCode.ShouldBe(HttpStatusCode.NotModified);
        (await Client.GetStringAsync($"/images/{image}/urls")).ShouldContain(Url + "/thumbnail");
    }

    [Fact]
    public async Task Refresh_is_queued_under_its_address()
    {
        await using var queue = await Scratch.RouteAsync("refresh-urls");
        await queue.QueuePurgeAsync("refresh-urls");
        var (image, command) = (Guid.NewGuid(), Guid.NewGuid());

        using var answer = await Client.PostAsJsonAsync(
            $"/images/{image}/urls/refresh",
            new { commandId = command, force = true }
        );

        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var message = (await queue.BasicGetAsync("refresh-urls", autoAck: true)).ShouldNotBeNull();
        JsonSerializer
            .Deserialize<RefreshUrls>(message.Body.Span, WireJson.Options)
            .ShouldBe(new RefreshUrls(command, null, image, null, Force: true));
        await ShouldBeProblemAsync(
            await Client.PostAsJsonAsync("/urls/refresh", new { force = true }),
            400,
            "bad-request"
        );
    }

    [Fact]
    public async Task Health_counts_what_is_degraded_overdue_and_unsigned()
    {
        await SignedAsync(TimeSpan.FromMinutes(-2), Day, isDegraded: true);
        await Scratch.ImageAsync(Project, "s", slot: 9);

        var health = (await Client.GetFromJsonAsync<JsonElement>("/urls/health")).GetProperty("health");

        health.GetProperty("degraded").GetInt64().ShouldBeGreaterThanOrEqualTo(2);
        health.GetProperty("overdue").GetInt64().ShouldBeGreaterThanOrEqualTo(1);
        health.GetProperty("unsigned").GetInt64().ShouldBeGreaterThanOrEqualTo(1);
        health.GetProperty("oldestOverdueSeconds").GetInt64().ShouldBeGreaterThanOrEqualTo(119);
    }

    /// <summary>A shown picture with both variants in the cache.</summary>
    private async Task<Guid> SignedAsync(TimeSpan refreshIn, TimeSpan expiresIn, bool isDegraded = false)
    {
        await Scratch.ProjectAsync(Project, version: 1);
        var image = await Scratch.ImageAsync(Project, "s", slot: 0);
        foreach (var variant in new[] { "image", "thumbnail" })
            await Scratch.UrlAsync(image, variant, $"{Url}/{variant}", refreshIn, expiresIn, isDegraded);
        return image;
    }

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        var started = Stopwatch.GetTimestamp();
        while (!await holds())
        {
            Stopwatch.GetElapsedTime(started).ShouldBeLessThan(TimeSpan.FromSeconds(60));
            await Task.Delay(50);
        }
    }
}
