using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Saving;

/// <summary>Replaced bytes stay as long as a URL of them works, whatever the retention is.</summary>
public sealed class ReplacedUrlTests(LaneBench lane) : IClassFixture<LaneBench>
{
    private const string SignSql = """
        insert into pipeline.image_urls
            (image_id, variant, version, url, strategy, degraded, steps, signed_at, refresh_after, expires_at)
        values ($1, $2, 1, 'https://store/a', 's3', false, '[]', now(), now(), now() + $3)
        """;

    private const string HoursSql = """
        select round(extract(epoch from due_at - now()) / 3600)::text from pipeline.deletions
        where object_key = $1 order by created_at
        """;

    [Fact]
    public async Task Purge_of_replaced_bytes_is_due_when_the_last_url_has_expired()
    {
        var picture = await SignedAsync();

        await lane.ApplyAsync(picture.Replace("b"));

        (await lane.Database.TextsAsync(HoursSql, picture.Key("a"))).ShouldBe(["24"]);
    }

    [Fact]
    public async Task Another_reason_to_purge_the_same_bytes_makes_it_no_sooner()
    {
        var picture = await SignedAsync();
        var late = picture.Replace("a");
        await lane.FailAsync(late);
        await lane.ApplyAsync(picture.Replace("b"));

        await lane.ReplayAsync(late); // Superseded: its bytes are an orphan's.

        (await lane.Database.TextsAsync(HoursSql, picture.Key("a"))).ShouldBe(["24", "24"]);
    }

    [Fact]
    public async Task Bytes_that_were_never_shown_do_not_wait_for_the_urls_of_others()
    {
        var picture = await SignedAsync();
        await lane.ApplyAsync(picture.Replace("c")); // Awaited.

        await lane.ApplyAsync(picture.Replace("b"));

        (await lane.Database.TextsAsync(HoursSql, picture.Key("c"))).ShouldBe(["1"]);
    }

    /// <summary>A shown picture with a URL of 5 hours and one of a day.</summary>
    private async Task<NewPicture> SignedAsync()
    {
        var picture = NewPicture.Any();
        await lane.PlantAsync(picture.Key("a"), picture.Key("b"));
        await lane.ApplyAsync(picture.Save("a"));
        await lane.Database.ExecuteAsync(SignSql, picture.ImageId, "image", TimeSpan.FromHours(24));
        await lane.Database.ExecuteAsync(SignSql, picture.ImageId, "thumbnail", TimeSpan.FromHours(5));
        return picture;
    }
}
