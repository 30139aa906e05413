using System.Net;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Tests.Urls;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Readers of two publishers before two workers and a storage server that signs: how often that is asked.</summary>
public sealed class UrlReaderTests : Stack
{
    private const int Readers = 20;
    private const string SignedByStore = "X-Amz-Signature=";

    private SupabaseStub _signer = null!;
    private PublisherProcess[] _publishers = [];

    /// <summary>The sweep looks when a worker starts and then after a minute: what is signed here, readers have asked for.</summary>
    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            ("Urls__Lifetime", "01:00:00"),
            ("Urls__RefreshAhead", "00:20:00"),
            ("Urls__SweepEvery", "00:01:00"),
            ("Urls__ClaimLength", "00:01:00"),
            ("Urls__CallTimeout", "00:00:25"),
            ("Urls__Variants__thumbnail__Chain", "supabase,s3"),
            ("Urls__Variants__thumbnail__Width", "400"),
            ("Urls__Variants__thumbnail__Format", "webp"),
            ("Urls__Supabase__Url", _signer.Url.ToString()),
            ("Urls__Supabase__Key", "service-key"),
        ];

    public override async Task InitializeAsync()
    {
        _signer = await SupabaseStub.StartAsync();
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        foreach (var publisher in _publishers)
            await publisher.DisposeAsync();
        await base.DisposeAsync();
        await _signer.DisposeAsync();
    }

    [Fact]
    public async Task Url_is_the_same_outside_its_window_and_twenty_readers_cause_one_call_within_it()
    {
        var image = await ShownAsync();

        var first = await ReadUntilSignedAsync(image); // Nothing was signed yet.
        first.ShouldContain("/render/image/sign/");
        _signer.Calls.Count.ShouldBe(1);

        await AgeAsync(image, left: TimeSpan.FromMinutes(37.3), windowIn: TimeSpan.FromMinutes(17.3));
        (await ReadAsync(image)).ShouldAllBe(x => x == first);
        _signer.Calls.Count.ShouldBe(1);

        await AgeAsync(image, left: TimeSpan.FromMinutes(10), windowIn: TimeSpan.FromMinutes(-1));
        var within = await ReadAsync(image);
        await UntilAsync("its renewal", async () => await UrlAsync(image) != first);
        var second = await UrlAsync(image);
        within.ShouldAllBe(x => x == first || x == second);
        (await ReadAsync(image)).ShouldAllBe(x => x == second);
        _signer.Calls.Count.ShouldBe(2);

        await AgeAsync(image, left: TimeSpan.FromSeconds(-1), windowIn: TimeSpan.FromMinutes(-1));
        (await ReadUntilSignedAsync(image) == second).ShouldBeFalse(); // It had ended.
        _signer.Calls.Count.ShouldBe(3);
    }

    [Fact]
    public async Task The_seeds_400_is_recorded_step_by_step_counted_and_told_to_readers()
    {
        _signer.Answer = _ => Task.FromResult(SupabaseStub.Refusal);
        var image = await ShownAsync();

        (await ReadUntilSignedAsync(image)).ShouldContain(SignedByStore);

        _signer.Calls.Select(x => x.Format ?? "plain").ShouldBe(["webp", "origin", "plain"], StringComparer.Ordinal);
        (
            await RowsAsync(
                "select concat(x->>'step', ' ', x->>'code', ' ', x->>'reason') from status.image_urls, jsonb_array_elements(steps) x where variant = 'thumbnail'",
                x => x.GetString(0)
            )
        ).ShouldBe(
            [
                $"supabase-webp refused 400: {SupabaseStub.FormatError}",
                $"supabase-origin refused 400: {SupabaseStub.FormatError}",
                $"supabase-plain refused 400: {SupabaseStub.FormatError}",
            ],
            StringComparer.Ordinal
        );
        (
            await ScalarAsync<string>(
                "select concat(strategy, ' ', degraded) from status.image_urls where variant = 'thumbnail'"
            )
        ).ShouldBe("s3 t");
        (await ScalarAsync<long>("select degraded from status.url_health")).ShouldBe(1);
        (
            await RowsAsync(
                "select concat(step, ' ', reason, ' ', count) from status.url_steps where step like 'supabase%' order by 1",
                x => x.GetString(0)
            )
        ).ShouldBe(
            ["supabase-origin refused 1", "supabase-plain refused 1", "supabase-webp refused 1"],
            StringComparer.Ordinal
        );
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false });
        using var answer = await client.GetAsync(new Uri(_publishers[0].Url, $"/images/{image}/1/thumbnail"));
        answer.Headers.GetValues("X-Url-Degraded").Single().ShouldBe("true");
    }

    [Theory]
    [InlineData("Urls__Variants__thumbnail__Format", "jpeg", "'jpeg'; it may be origin, avif, webp")]
    [InlineData("Cdn__CloudFront__DistributionId", "EDFDVBD6EXAMPLE", "Cdn:CloudFront:SecretKey is not set")]
    public async Task Worker_with_a_setting_that_cannot_be_right_does_not_start(
        string setting,
        string value,
        string reason
    )
    {
        var worker = StartWorker("refused", (setting, value));

        await UntilAsync("it has ended", () => Task.FromResult(worker.HasExited));

        worker.ExitCode.ShouldNotBe(0);
        worker.Log.ShouldContain(reason);
        _signer.Calls.ShouldBeEmpty();
    }

    private async Task<Guid> ShownAsync()
    {
        HostWorker("worker-1");
        HostWorker("worker-2");
        _publishers = await Task.WhenAll(
            Enumerable.Range(0, 2).Select(_ => PublisherProcess.ServeAsync(PublisherSettings))
        );
        var save = Commands.Save(Guid.NewGuid(), 1, 0);
        await PlantObjectsAsync([save.ObjectKey]);
        await using var publisher = NewPublisher();
        await publisher.PublishAllAsync(
            [Commands.Storyboard(save.ProjectId, 1).ToWire(), save.ToWire()],
            CancellationToken.None
        );
        await UntilAsync(
            "it is shown",
            async () => await ScalarAsync<long>("select count(*) from status.images where state = 'shown'") == 1
        );
        return save.ImageId;
    }

    /// <summary>Many readers of a picture without a URL that works.</summary>
    /// <returns>What the workers have signed, and every reader got whose publisher did not lose its patience first.</returns>
    private async Task<string> ReadUntilSignedAsync(Guid image)
    {
        var read = await ReadAsync(image);
        await UntilAsync("a URL is signed", async () => await UrlAsync(image) != "");
        var signed = await UrlAsync(image);
        read.ShouldAllBe(x => x == signed || x.Contains(SignedByStore));
        return signed;
    }

    /// <summary>Where each of many readers at once is sent to.</summary>
    private async Task<List<string>> ReadAsync(Guid image)
    {
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false });
        var answers = await Task.WhenAll(
            Enumerable
                .Range(0, Readers)
                .Select(x => client.GetAsync(new Uri(_publishers[x % 2].Url, $"/images/{image}/1/thumbnail")))
        );
        answers.ShouldAllBe(x => x.StatusCode == HttpStatusCode.Redirect);
        return [.. answers.Select(x => x.Headers.Location!.AbsoluteUri)];
    }

    /// <summary>As if the URLs had been signed a while ago.</summary>
    private Task<Guid> AgeAsync(Guid image, TimeSpan left, TimeSpan windowIn) =>
        ScalarAsync<Guid>(
            """
            with aged as (
                update pipeline.image_urls
                set signed_at = now() + $2 - interval '1 hour', expires_at = now() + $2, refresh_after = now() + $3
                where image_id = $1)
            update pipeline.url_signings set due_at = now() + $3 where image_id = $1 returning image_id
            """,
            image,
            left,
            windowIn
        );

    private Task<string> UrlAsync(Guid image) =>
        ScalarAsync<string>(
            "select coalesce((select url from status.image_urls where image_id = $1 and variant = 'thumbnail'), '')",
            image
        );
}
