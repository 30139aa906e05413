using System.Text;
using Pipeline.Workers.Storage;
using Pipeline.Workers.Tests.Harness;
using Pipeline.Workers.Tests.Storage;
using Pipeline.Workers.Urls;
using Pipeline.Workers.Urls.Strategies;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Urls;

/// <summary>Chains against real HTTP: the order of the steps, what is recorded of each, what counts as degraded.</summary>
public sealed class UrlChainTests : IAsyncLifetime
{
    private static readonly ClaimedImage Picture = new(
        Guid.NewGuid(),
        Guid.NewGuid(),
        Version: 1,
        "projects/p/i/a.png",
        new Dictionary<string, StoredUrl>(StringComparer.Ordinal)
    );

    private static readonly VariantOptions Thumbnail = new()
    {
        Chain = "supabase, s3",
        Width = 400,
        Format = "webp",
    };

    private SupabaseStub _supabase = null!;

    public async Task InitializeAsync() => _supabase = await SupabaseStub.StartAsync();

    public async Task DisposeAsync() => await _supabase.DisposeAsync();

    [Fact]
    public async Task The_seeds_400_leads_from_webp_over_the_original_to_the_store_and_each_step_is_recorded()
    {
        _supabase.Answer = _ => Task.FromResult(SupabaseStub.Refusal);

        var result = await SignAsync(Thumbnail);

        _supabase.Calls.Select(x => x.Format ?? "plain").ShouldBe(["webp", "origin", "plain"], StringComparer.Ordinal);
        result
            .Failed.Select(x => $"{x.Step} {x.Code} {x.Reason}")
            .ShouldBe(
                [
                    $"supabase-webp refused 400: {SupabaseStub.FormatError}",
                    $"supabase-origin refused 400: {SupabaseStub.FormatError}",
                    $"supabase-plain refused 400: {SupabaseStub.FormatError}",
                ],
                StringComparer.Ordinal
            );
        var url = result.Url.ShouldNotBeNull();
        url.Strategy.ShouldBe("s3");
        url.Degraded.ShouldBeTrue();
        url.Url.ShouldContain("X-Amz-Signature=");
        url.Steps.ShouldContain(SupabaseStub.FormatError);
        (url.RefreshAfter - url.SignedAt).ShouldBeLessThan(TimeSpan.FromMinutes(10)); // Tried again soon.
    }

    [Fact]
    public async Task Plain_path_with_200_is_taken_and_counts_as_degraded()
    {
        _supabase.Answer = x =>
            Task.FromResult<(int, string)?>((200, $$"""{"signedURL":"/object/sign/{{x.Key}}?token=t"}"""));

        var result = await SignAsync(Thumbnail);

        result.Url.ShouldNotBeNull().Degraded.ShouldBeTrue();
        result.Url.Strategy.ShouldBe("supabase-webp");
        result.Url.Url.ShouldStartWith(_supabase.Url + "storage/v1/object/sign/");
        result.Failed.ShouldHaveSingleItem().Code.ShouldBe("not-transformed");
        _supabase.Calls.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Transformed_path_is_what_was_wanted()
    {
        var result = await SignAsync(Thumbnail);

        result.Url.ShouldNotBeNull().Degraded.ShouldBeFalse();
        result.Url.Url.ShouldStartWith(_supabase.Url + "storage/v1/render/image/sign/");
        (result.Url.ExpiresAt - result.Url.SignedAt - TimeSpan.FromHours(1))
            .Duration()
            .ShouldBeLessThan(TimeSpan.FromSeconds(1));
        result.Failed.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("""{"signedURL":"https://elsewhere.test/render/image/sign/x"}""")]
    [InlineData("""{"signedURL":null}""")]
    [InlineData("not JSON")]
    [InlineData("""{"signedURL":"/somewhere/else"}""")]
    public async Task Any_other_answer_is_no_url(string body)
    {
        _supabase.Answer = _ => Task.FromResult<(int, string)?>((200, body));

        var result = await SignAsync(Thumbnail with { Chain = "supabase" });

        result.Url.ShouldBeNull();
        result.Failed.ShouldAllBe(x => x.Code == "unexpected-answer");
    }

    [Fact]
    public async Task Degraded_url_that_is_tried_again_in_vain_stays_byte_for_byte()
    {
        _supabase.Answer = _ => Task.FromResult(SupabaseStub.Refusal);
        using var chains = Chains(Thumbnail);
        var first = (await SignAsync(chains, null)).Url.ShouldNotBeNull();

        var again = await SignAsync(chains, first with { RefreshAfter = first.SignedAt });

        again.IsSigned.ShouldBeFalse();
        again.Url.ShouldNotBeNull().Url.ShouldBe(first.Url);
        again.Url.ExpiresAt.ShouldBe(first.ExpiresAt);
        again.Url.RefreshAfter.ShouldBeGreaterThan(first.SignedAt);
        _supabase.Answer = _ => Task.FromResult<(int, string)?>(null);
        (await SignAsync(chains, first)).Url.ShouldNotBeNull().Degraded.ShouldBeFalse();
    }

    [Fact]
    public async Task Server_that_is_away_is_left_alone_after_a_few_calls()
    {
        _supabase.Answer = _ => Task.FromResult<(int, string)?>((503, ""));
        using var chains = Chains(Thumbnail);

        for (var i = 0; i < 10; i++)
            await SignAsync(chains, null);

        _supabase.Calls.Count.ShouldBe(5);
        (await SignAsync(chains, null)).Failed.ShouldAllBe(x => x.Code == "resting");
    }

    [Fact]
    public async Task Placeholder_is_always_degraded_and_a_public_address_is_not()
    {
        var placeholder = await SignAsync(new VariantOptions { Chain = "placeholder" });
        var open = await SignAsync(new VariantOptions { Chain = "public" });

        placeholder.Url.ShouldNotBeNull().Degraded.ShouldBeTrue();
        open.Url.ShouldNotBeNull().Url.ShouldBe("https://cdn.test/pictures/projects/p/i/a.png");
        open.Url.Degraded.ShouldBeFalse();
    }

    [Fact]
    public void Imgproxy_signs_as_its_documentation_says() =>
        ImgproxyStep
            .Sign(
                Convert.FromHexString("736563726574"),
                Convert.FromHexString("68656C6C6F"),
                "/rs:fill:300:400:0/g:sm/aHR0cDovL2V4YW1w/bGUuY29tL2ltYWdl/cy9jdXJpb3NpdHku/anBn.png"
            )
            .ShouldBe("oKfUtW34Dvo2BGQehJFR4Nr0_rIjOtdtzJ3QFsUcXH8");

    [Theory]
    [InlineData(200, "imgproxy")]
    [InlineData(404, "s3")]
    public async Task Imgproxy_that_cannot_deliver_is_passed_over_where_it_is_checked(int status, string strategy)
    {
        var seen = "";
        await using var imgproxy = await HttpStub.StartAsync(
            (context, _) =>
            {
                seen = $"{context.Request.Method} {context.Request.Path}";
                context.Response.StatusCode = status;
                return Task.CompletedTask;
            }
        );
        var options = Options(Thumbnail with { Chain = "imgproxy, s3", Quality = 75 }, imgproxy.Url);
        using var chains = new UrlChains(
            options,
            S3Settings.Read(),
            S3Settings.Store(S3Settings.Read()),
            TimeProvider.System
        );

        var url = (await SignAsync(chains, null)).Url.ShouldNotBeNull();

        url.Strategy.ShouldBe(strategy);
        url.Degraded.ShouldBe(status != 200);
        seen.ShouldMatch("^HEAD /[A-Za-z0-9_-]{43}/rs:fill:400:0/q:75/exp:[0-9]+/[A-Za-z0-9_-]+\\.webp$");
        var source = seen[(seen.LastIndexOf('/') + 1)..^5];
        Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(source)).ShouldStartWith("s3://");
    }

    private async Task<ChainResult> SignAsync(VariantOptions variant)
    {
        using var chains = Chains(variant);
        return await SignAsync(chains, null);
    }

    private static Task<ChainResult> SignAsync(UrlChains chains, StoredUrl? earlier) =>
        chains.Variants["thumbnail"].SignAsync("thumbnail", Picture, earlier, force: false, default);

    private UrlChains Chains(VariantOptions variant) =>
        new(
            Options(variant, imgproxy: null),
            S3Settings.Read(),
            S3Settings.Store(S3Settings.Read()),
            TimeProvider.System
        );

    private UrlsOptions Options(VariantOptions variant, Uri? imgproxy)
    {
        var options = new UrlsOptions
        {
            Lifetime = TimeSpan.FromHours(1),
            Variants = { ["thumbnail"] = variant },
            Supabase = new SupabaseTransformOptions { Url = _supabase.Url, Key = "service-key" },
            Imgproxy = new ImgproxyOptions
            {
                Url = imgproxy,
                Key = "736563726574",
                Salt = "68656C6C6F",
                Check = true,
            },
            PublicBaseUrl = new Uri("https://cdn.test/pictures"),
            PlaceholderUrl = new Uri("https://cdn.test/none.png"),
            RefreshAhead = TimeSpan.FromMinutes(20),
        };
        options.Validate();
        return options;
    }
}
