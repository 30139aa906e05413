using Pipeline.Contracts.Urls;
using Pipeline.Workers.Urls;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Urls;

/// <summary>The command on the real servers: what is signed, what is kept, and what the receipt says.</summary>
public sealed class RefreshUrlsTests(UrlsPipeline pipeline) : IClassFixture<UrlsPipeline>
{
    [Fact]
    public async Task Every_variant_is_signed_stored_and_announced()
    {
        var image = await pipeline.ShowAsync();

        (await pipeline.EndAsync(UrlsPipeline.Refresh(image))).ShouldBe("applied");

        var stored = await pipeline.AskAsync(
            "select string_agg(concat_ws(' ', variant, strategy, degraded), '; ' order by variant) from status.image_urls where image_id = $1",
            image
        );
        stored.ShouldBe("image s3 f; thumbnail supabase-webp f");
        (await pipeline.EventsAsync("urls-refreshed", image)).ShouldBe(1);
        (
            await pipeline.AskAsync(
                "select string_agg(convert_from(body, 'UTF8'), '') from pipeline.outbox where exchange = 'urls-refreshed'"
            )
        )
            .ShouldNotBeNull()
            .ShouldNotContain("token="); // Who has a URL may read the picture.
    }

    [Fact]
    public async Task Url_with_37_minutes_left_outside_the_window_is_kept_byte_for_byte_without_a_call()
    {
        var image = await SignedAsync();
        await pipeline.AgeAsync(image, left: TimeSpan.FromMinutes(37.3), windowIn: TimeSpan.FromMinutes(17.3));
        var (before, calls) = (await pipeline.CachedAsync(image), CallsFor(image));

        (await pipeline.EndAsync(UrlsPipeline.Refresh(image))).ShouldBe("unchanged");

        (await pipeline.CachedAsync(image)).ShouldBe(before);
        CallsFor(image).ShouldBe(calls);
    }

    [Fact]
    public async Task Twenty_requests_in_the_window_cause_one_call()
    {
        var image = await SignedAsync();
        await pipeline.AgeAsync(image, left: TimeSpan.FromMinutes(10), windowIn: TimeSpan.FromMinutes(-1));
        var before = CallsFor(image);
        var same = UrlsPipeline.Refresh(image);
        var others = Enumerable.Range(0, 10).Select(_ => UrlsPipeline.Refresh(image)).ToArray();

        // Readers ask under one id; operators beside them under ids of their own.
        foreach (var command in Enumerable.Repeat(same, 10).Concat(others))
            await pipeline.SendAsync(command);

        var outcomes = await Task.WhenAll(others.Append(same).Select(x => pipeline.ReceiptAsync(x.CommandId)));
        outcomes.Order(StringComparer.Ordinal).ShouldBe(["applied", .. Enumerable.Repeat("unchanged", 10)]);
        CallsFor(image).ShouldBe(before + 1);
    }

    [Fact]
    public async Task A_delivery_that_waited_while_another_ended_its_command_signs_nothing()
    {
        var image = await SignedAsync();
        await pipeline.AgeAsync(image, left: TimeSpan.FromMinutes(10), windowIn: TimeSpan.FromMinutes(-1));
        var command = UrlsPipeline.Refresh(image);
        (await pipeline.EndAsync(command)).ShouldBe("applied");
        await pipeline.AgeAsync(image, left: TimeSpan.FromSeconds(-1), windowIn: TimeSpan.FromMinutes(-1));
        var calls = CallsFor(image);

        // As its consumer calls it, once it has seen no receipt.
        await pipeline.RefreshAsync(command);

        CallsFor(image).ShouldBe(calls);
    }

    [Fact]
    public async Task Force_signs_what_is_not_due_once_however_often_the_command_comes()
    {
        var image = await SignedAsync();
        var (before, calls) = (await pipeline.CachedAsync(image), CallsFor(image));
        var command = UrlsPipeline.Refresh(image, force: true);

        (await pipeline.EndAsync(command)).ShouldBe("applied");
        var after = await pipeline.CachedAsync(image);
        await pipeline.SendAsync(command);
        (await pipeline.EndAsync(UrlsPipeline.Refresh(image))).ShouldBe("unchanged");

        (after == before).ShouldBeFalse();
        (await pipeline.CachedAsync(image)).ShouldBe(after);
        CallsFor(image).ShouldBe(calls + 1);
    }

    [Fact]
    public async Task Failure_keeps_the_old_url_and_is_stored_counted_announced_and_retried_later()
    {
        var image = await SignedAsync();
        await pipeline.AgeAsync(image, left: TimeSpan.FromMinutes(10), windowIn: TimeSpan.FromMinutes(-1));
        var before = await ThumbnailAsync(image);
        pipeline.Supabase.Answer = call => Task.FromResult<(int, string)?>(IsOf(image, call) ? (503, "away") : null);

        // The original is signed here, the thumbnail fails.
        (await pipeline.EndAsync(UrlsPipeline.Refresh(image))).ShouldBe("applied");
        (await FailuresAsync(image)).ShouldStartWith("1 thumbnail: supabase-webp: 503: away supabase-origin: ");
        (await pipeline.EndAsync(UrlsPipeline.Refresh(image))).ShouldBe("failed");

        (await ThumbnailAsync(image)).ShouldBe(before);
        (await pipeline.EventsAsync("urls-refresh-failed", image)).ShouldBe(2);
        (await FailuresAsync(image)).ShouldStartWith("2 thumbnail: supabase-webp: ");
        (
            await pipeline.AskAsync(
                "select count from status.url_steps where step = 'supabase-webp' and reason = 'unavailable'"
            )
        ).ShouldNotBeNull();

        pipeline.Supabase.Answer = _ => Task.FromResult<(int, string)?>(null);
        await UntilRestedAsync(image);
        (await ThumbnailAsync(image) == before).ShouldBeFalse();
        (await FailuresAsync(image)).ShouldBe("0");
    }

    [Fact]
    public async Task Picture_that_is_replaced_while_it_is_signed_supersedes_the_command()
    {
        var image = await pipeline.ShowAsync();
        var held = new TaskCompletionSource();
        var command = UrlsPipeline.Refresh(image);
        pipeline.Supabase.Answer = async call =>
        {
            if (IsOf(image, call))
                await held.Task;
            return null;
        };
        await pipeline.SendAsync(command);
        await Until.TrueAsync("the call", () => Task.FromResult(CallsFor(image) == 1));

        await pipeline.ExecuteAsync("update pipeline.images set version = 2 where id = $1", image);
        held.SetResult();

        (await pipeline.ReceiptAsync(command.CommandId)).ShouldBe("superseded");
        (await pipeline.CachedAsync(image)).ShouldBeNull();
        (await pipeline.EndAsync(UrlsPipeline.Refresh(image))).ShouldBe("applied");
        (await pipeline.CachedAsync(image)).ShouldNotBeNull().ShouldContain("image 2 ");
    }

    [Theory]
    [InlineData("rejected", false, null)]
    [InlineData("target-missing", true, null)]
    [InlineData("superseded", false, "update pipeline.images set deleted_at = now() where id = $1")]
    [InlineData("superseded", false, "update pipeline.images set version = 3 where id = $1")]
    [InlineData("target-missing", false, "update pipeline.images set placed = false where id = $1")]
    public async Task What_cannot_be_signed_says_why(string outcome, bool isUnknown, string? change)
    {
        var image = isUnknown ? Guid.NewGuid() : await pipeline.ShowAsync();
        if (change is not null)
            await pipeline.ExecuteAsync(change, image);
        var command = UrlsPipeline.Refresh(image) with { ImageVersion = outcome == "rejected" ? 0 : 1 };

        (await pipeline.EndAsync(command)).ShouldBe(outcome);

        (await pipeline.AskAsync("select reason from pipeline.receipts where command_id = $1", command.CommandId))
            .ShouldNotBeNull()
            .ShouldNotBeEmpty();
        CallsFor(image).ShouldBe(0);
    }

    [Fact]
    public async Task Project_is_signed_in_one_command_and_kept_by_the_next()
    {
        const int Pictures = 230; // More than one batch.
        var project = Guid.NewGuid();
        for (var i = 0; i < Pictures; i++)
            await pipeline.ShowAsync(project);
        var command = new RefreshUrls(Guid.NewGuid(), project, ImageId: null, ImageVersion: null, Force: false);

        (await pipeline.EndAsync(command)).ShouldBe("applied");
        (await pipeline.EndAsync(command with { CommandId = Guid.NewGuid() })).ShouldBe("unchanged");

        (await pipeline.AskAsync("select count(*) from status.image_urls where project_id = $1", project)).ShouldBe(
            (2 * Pictures).ToString()
        );
        (await pipeline.AskAsync("select reason from pipeline.receipts where command_id = $1", command.CommandId))
            .ShouldNotBeNull()
            .ShouldStartWith($"Of {Pictures} pictures: {Pictures} signed");
    }

    [Fact]
    public async Task Claim_of_a_dead_worker_ends_and_the_command_waits_for_it()
    {
        var image = await pipeline.ShowAsync();
        // As a worker leaves it that is killed between claim and store.
        await pipeline.ExecuteAsync(
            """
            insert into pipeline.url_signings (image_id, version, configuration, due_at, claim_id, claimed_until)
            values ($1, 1, 0, now(), $2, now() + interval '2 seconds')
            """,
            image,
            Guid.NewGuid()
        );
        var command = UrlsPipeline.Refresh(image);

        (await pipeline.EndAsync(command)).ShouldBe("applied");

        (
            await pipeline.AskAsync(
                "select r.at >= min(u.signed_at) from pipeline.receipts r, pipeline.image_urls u where r.command_id = $1 and u.image_id = $2 group by r.at",
                command.CommandId,
                image
            )
        ).ShouldBe("True");
    }

    [Fact]
    public async Task Late_result_of_a_lost_claim_changes_nothing()
    {
        // The sweep, which looks once a minute, may claim a picture first. Then another picture shows it.
        var (image, outcomes) = (Guid.Empty, Array.Empty<UrlOutcome>());
        while (outcomes.Length == 0)
            (image, outcomes) = await SignUnderALostClaimAsync();

        outcomes.ShouldBe([UrlOutcome.GivenBack]);
        (await pipeline.CachedAsync(image)).ShouldBeNull();
        (await pipeline.EventsAsync("urls-refreshed", image)).ShouldBe(0);
    }

    private async Task<(Guid Image, UrlOutcome[] Outcomes)> SignUnderALostClaimAsync()
    {
        var image = await pipeline.ShowAsync();
        var held = new TaskCompletionSource();
        pipeline.Supabase.Answer = async call =>
        {
            if (IsOf(image, call))
                await held.Task;
            return null;
        };
        var late = pipeline.Signer.SignAsync([image], UrlDemand.Sweep, also: null, default);
        await Until.TrueAsync("the call", () => Task.FromResult(CallsFor(image) == 1));
        // Another worker takes over, as it may once the claim has ended.
        await pipeline.ExecuteAsync(
            "update pipeline.url_signings set claim_id = gen_random_uuid() where image_id = $1",
            image
        );
        held.SetResult();
        return (image, [.. (await late).Select(x => x.Outcome)]);
    }

    private async Task<Guid> SignedAsync()
    {
        var image = await pipeline.ShowAsync();
        (await pipeline.EndAsync(UrlsPipeline.Refresh(image))).ShouldBe("applied");
        return image;
    }

    private async Task<string> FailuresAsync(Guid image) =>
        (
            await pipeline.AskAsync(
                "select concat_ws(' ', failures, failure_reason) from status.url_signings where image_id = $1",
                image
            )
        ).ShouldNotBeNull();

    private static bool IsOf(Guid image, SignCall call) =>
        call.Key.Contains(image.ToString(), StringComparison.Ordinal);

    private int CallsFor(Guid image) => pipeline.Supabase.Calls.Count(x => IsOf(image, x));

    private Task<string?> ThumbnailAsync(Guid image) =>
        pipeline.AskAsync("select url from pipeline.image_urls where image_id = $1 and variant = 'thumbnail'", image);

    /// <summary>The server is asked again once it has rested.</summary>
    private async Task UntilRestedAsync(Guid image)
    {
        var giveUp = DateTimeOffset.UtcNow + TimeSpan.FromSeconds(60);
        while (await pipeline.EndAsync(UrlsPipeline.Refresh(image)) != "applied")
            DateTimeOffset.UtcNow.ShouldBeLessThan(giveUp);
    }
}
