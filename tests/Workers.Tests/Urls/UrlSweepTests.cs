using Pipeline.Workers.Urls;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Urls;

/// <summary>The pipeline with its sweep running.</summary>
public sealed class SweptPipeline : UrlsPipeline
{
    private protected override string SweepEvery => "00:00:00.100";
}

/// <summary>Nobody asks, and every picture that is shown has URLs all the same.</summary>
public sealed class UrlSweepTests(SweptPipeline pipeline) : IClassFixture<SweptPipeline>
{
    [Fact]
    public async Task New_picture_is_signed_and_renewed_when_its_window_opens()
    {
        var image = await pipeline.ShowAsync();
        await pipeline.UntilCachedAsync(image);
        var first = await pipeline.CachedAsync(image);

        await pipeline.AgeAsync(image, left: TimeSpan.FromMinutes(9), windowIn: TimeSpan.FromSeconds(-1));

        await Until.TrueAsync(
            "both URLs are new",
            async () =>
                await pipeline.AskAsync(
                    "select count(*) from status.image_urls where image_id = $1 and expires_at > now() + interval '50 minutes'",
                    image
                ) == "2"
        );
        (await pipeline.CachedAsync(image) == first).ShouldBeFalse();
        (
            await pipeline.AskAsync(
                "select bool_and(refresh_after > now() and refresh_after < expires_at - interval '9 minutes') from status.image_urls where image_id = $1",
                image
            )
        ).ShouldBe("True");
        (
            await pipeline.AskAsync("select name || ': ' || chain from status.url_variants where name = 'thumbnail'")
        ).ShouldBe("thumbnail: supabase-webp, supabase-origin, supabase-plain");
    }

    [Fact]
    public async Task Replaced_picture_gets_urls_of_its_new_version()
    {
        var image = await pipeline.ShowAsync();
        await pipeline.UntilCachedAsync(image);

        await pipeline.ExecuteAsync("update pipeline.images set version = 2 where id = $1", image);

        (
            await pipeline.AskAsync("select count(*) from status.image_urls where image_id = $1 and version = 1", image)
        ).ShouldBe("0");
        await Until.TrueAsync(
            "two URLs of version 2",
            async () =>
                await pipeline.AskAsync(
                    "select count(*) from status.image_urls where image_id = $1 and version = 2",
                    image
                ) == "2"
        );
    }

    [Fact]
    public async Task Urls_of_a_deleted_picture_vanish_at_once_and_go_when_they_are_due()
    {
        var image = await pipeline.ShowAsync();
        await pipeline.UntilCachedAsync(image);

        await pipeline.ExecuteAsync("update pipeline.images set deleted_at = now() where id = $1", image);
        (await pipeline.AskAsync("select count(*) from status.image_urls where image_id = $1", image)).ShouldBe("0");
        await pipeline.AgeAsync(image, left: TimeSpan.FromMinutes(9), windowIn: TimeSpan.FromSeconds(-1));

        await Until.TrueAsync(
            "no row is left",
            async () =>
                await pipeline.AskAsync(
                    "select (select count(*) from pipeline.image_urls where image_id = $1) + (select count(*) from pipeline.url_signings where image_id = $1)",
                    image
                ) == "0"
        );
    }

    [Fact]
    public async Task Two_workers_sign_each_picture_once()
    {
        using var other = pipeline.OtherWorker();
        await other.StartAsync();
        var images = new List<Guid>();
        for (var i = 0; i < 120; i++)
            images.Add(await pipeline.ShowAsync());
        foreach (var image in images)
            await pipeline.UntilCachedAsync(image);
        await other.StopAsync();

        var calls = pipeline
            .Supabase.Calls.CountBy(x => x.Key, StringComparer.Ordinal)
            .ToDictionary(StringComparer.Ordinal);
        foreach (var image in images)
            calls.Single(x => x.Key.Contains(image.ToString(), StringComparison.Ordinal)).Value.ShouldBe(1);
    }
}
