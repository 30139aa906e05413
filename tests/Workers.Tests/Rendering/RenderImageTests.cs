using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Models;
using Pipeline.Workers.Storage;
using Pipeline.Workers.Tests.Formats;
using Shouldly;
using Xunit;
using static Pipeline.Workers.Tests.Rendering.RenderPipeline;

namespace Pipeline.Workers.Tests.Rendering;

/// <summary>What a provider answers, and what the saga is told of it.</summary>
public sealed class RenderImageTests(RenderPipeline pipeline) : IClassFixture<RenderPipeline>
{
    private const string Objects =
        "select count(*) from pipeline.catalog_objects where key like 'generated/' || $1::text || '/%'";
    private const string Attempt = "select outcome from pipeline.generation_attempts where generation_id = $1";
    private const string Leases = "select count(*) from pipeline.generation_leases where generation_id = $1";

    private static readonly byte[] Png = TinyFiles.Png(3, 2);

    [Fact]
    public async Task Base64_picture_is_stored_under_its_generation()
    {
        var model = pipeline.Script(Png);
        var render = NewRender(model.Name) with
        {
            Options = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["quality"] = "high",
                ["output_compression"] = "80",
            },
        };

        var told = await pipeline.RenderAsync<RenderSucceeded>(render);

        var sha256 = Convert.ToHexStringLower(SHA256.HashData(Png));
        told.ShouldBe(
            new RenderSucceeded(render.GenerationId, 1, ObjectKeys.ForGenerated(render.GenerationId, sha256, "png"))
        );
        (await pipeline.Store.HeadAsync(told.ObjectKey, default)).ShouldNotBeNull().ContentType.ShouldBe("image/png");
        (await pipeline.AskAsync(Objects, render.GenerationId)).ShouldBe("1");
        (await pipeline.AskAsync(Attempt, render.GenerationId)).ShouldBe("succeeded");
        (await pipeline.AskAsync(Leases, render.GenerationId)).ShouldBe("0");
        model.Calls.ShouldBe(1);
        model.LastPath.ShouldBe("/v1/images/generations");
        model
            .LastBody?.ToJsonString()
            .ShouldBe(
                $$"""{"model":"{{model.Name}}","prompt":"a red boat","n":1,"size":"64x96","quality":"high","output_compression":80,"seed":7}"""
            );
    }

    [Fact]
    public async Task Picture_behind_an_url_is_copied_at_once()
    {
        var model = ScriptUrl(context => context.Response.Body.WriteAsync(Png).AsTask());

        var told = await pipeline.RenderAsync<RenderSucceeded>(NewRender(model.Name));

        (await pipeline.Store.HeadAsync(told.ObjectKey, default)).ShouldNotBeNull().Size.ShouldBe(Png.Length);
        model.Calls.ShouldBe(1);
    }

    [Fact]
    public async Task Url_that_has_expired_is_transient()
    {
        var model = ScriptUrl(context => Task.FromResult(context.Response.StatusCode = 404));

        await ShouldFail(model, "transient", "The provider's URL: the server answered 404 NotFound.");
    }

    [Fact]
    public async Task Url_that_redirects_to_nowhere_is_transient()
    {
        var model = ScriptUrl(context => Task.FromResult(context.Response.StatusCode = 302));

        await ShouldFail(model, "transient", "The provider's URL: the server redirects to nowhere.");
    }

    [Fact]
    public async Task Url_into_this_network_is_not_followed()
    {
        var fetched = 0;
        var model = pipeline.Script(
            "public",
            (context, _) => context.Response.WriteAsJsonAsync(new { data = new[] { new { url = UrlOf("public") } } })
        );
        model.ServeAsync = _ => Task.FromResult(fetched++);

        await ShouldFail(model, "transient", "leads to an address that is not on the public internet");

        fetched.ShouldBe(0);
    }

    [Fact]
    public async Task Outages_close_the_gate_too()
    {
        var model = pipeline.Script(503, "");
        for (var outage = 0; outage < 3; outage++)
            (await pipeline.RenderAsync<RenderFailed>(NewRender(model.Name))).Kind.ShouldBe("transient");

        var told = await pipeline.RenderAsync<RenderPostponed>(NewRender(model.Name));

        told.Reason.ShouldStartWith("Outage; the last of its failures: The provider answered 503");
        told.Until.ShouldBeGreaterThan(DateTimeOffset.UtcNow.AddMinutes(4));
        model.Calls.ShouldBe(3);
    }

    [Theory]
    [InlineData(500, """{"error":{"type":"server_error","message":"Oops."}}""", "transient", "500 server_error: Oops.")]
    [InlineData(502, "<html>Bad gateway</html>", "transient", "The provider answered 502.")]
    [InlineData(408, "", "transient", "The provider answered 408.")]
    [InlineData(302, "", "transient", "The provider answered 302.")]
    [InlineData(401, """{"error":{"code":"invalid_api_key"}}""", "refused", "401 invalid_api_key.")]
    [InlineData(404, """{"error":"no such model"}""", "refused", "404: no such model")]
    [InlineData(400, """{"error":{"code":"invalid_size","message":"64x96"}}""", "permanent", "400 invalid_size: 64x96")]
    [InlineData(400, """{"error":{"code":"moderation_blocked","message":"No."}}""", "moderation", "moderation_blocked")]
    [InlineData(400, """{"error":{"code":"content_policy_violation"}}""", "moderation", "content_policy_violation")]
    [InlineData(429, """{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}""", "refused", "quota")]
    [InlineData(429, """{"error":{"code":"organization_spend_limit_exceeded"}}""", "refused", "spend_limit")]
    [InlineData(200, """{"error":{"code":null,"type":"server_error","message":"Later."}}""", "transient", "Later.")]
    [InlineData(200, """{"error":{"code":"moderation_blocked"}}""", "moderation", "200 moderation_blocked")]
    [InlineData(200, """{"data":[]}""", "transient", "without a picture")]
    [InlineData(200, "I cannot paint that.", "transient", "what is not JSON")]
    [InlineData(200, """{"data":[{"b64_json":"%%%"}]}""", "transient", "not base64")]
    [InlineData(200, """{"data":[{"url":"file:///etc/passwd"}]}""", "transient", "must be http or https")]
    public async Task Error_is_named_and_asked_for_once(int status, string body, string kind, string reason)
    {
        await ShouldFail(pipeline.Script(status, body), kind, reason);
    }

    [Theory]
    [InlineData("Retry-After", "17", 17.0)]
    [InlineData("retry-after-ms", "1500", 1.5)]
    [InlineData("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT", 0.0)]
    [InlineData("Retry-After", "soon", null)]
    [InlineData("Retry-After", "-5", null)]
    [InlineData("Retry-After", "1e999", null)]
    public async Task Wish_for_a_pause_after_an_outage_is_passed_on(string header, string value, double? seconds)
    {
        var model = pipeline.Script(503, "", (header, value));

        var told = await pipeline.RenderAsync<RenderFailed>(NewRender(model.Name));

        told.RetryAfter.ShouldBe(seconds is { } pause ? TimeSpan.FromSeconds(pause) : null);
    }

    [Theory]
    [InlineData("Retry-After", "600", 600)]
    [InlineData("retry-after-ms", "600000", 600)]
    [InlineData("Retry-After", "date", 600)]
    [InlineData("Retry-After", "10000000", 3_600)] // At most an hour.
    [InlineData("Retry-After", "0", 1)] // Never at once.
    [InlineData(null, null, 20)] // The setting's default.
    public async Task Gate_is_closed_for_as_long_as_the_provider_says(string? header, string? value, int seconds)
    {
        var before = DateTimeOffset.UtcNow;
        var date = before.AddSeconds(seconds + 1).ToString("R"); // It has no fractions of a second.
        var headers = header is null ? [] : new[] { (header, value == "date" ? date : value ?? "") };
        var model = pipeline.Script(429, """{"error":{"code":"slow_down"}}""", headers);

        var told = await pipeline.RenderAsync<RenderPostponed>(NewRender(model.Name));

        told.Until.ShouldBeInRange(before.AddSeconds(seconds), DateTimeOffset.UtcNow.AddSeconds(seconds + 1));
        model.Calls.ShouldBe(1);
    }

    [Fact]
    public async Task Half_a_picture_is_transient() =>
        await ShouldFail(pipeline.Script(Png[..^20]), "transient", "The provider's file is a PNG");

    [Fact]
    public async Task Text_in_the_place_of_a_picture_is_permanent() =>
        await ShouldFail(pipeline.Script("I am sorry."u8.ToArray()), "permanent", "The provider's file is text");

    [Fact]
    public async Task Picture_of_200_megapixels_is_permanent() =>
        await ShouldFail(pipeline.Script(TinyFiles.Png(20_000, 10_000)), "permanent", "more than 50000000 pixels");

    [Fact]
    public async Task Provider_that_says_nothing_is_a_timeout_and_no_cancellation()
    {
        var model = pipeline.Script("hasty", (context, _) => Task.Delay(-1, context.RequestAborted));

        await ShouldFail(model, "transient", "The provider did not deliver within 1 s.");
    }

    [Fact]
    public async Task Picture_that_trickles_is_a_timeout()
    {
        var model = pipeline.Script(
            "hasty",
            async (context, _) =>
            {
                while (!context.RequestAborted.IsCancellationRequested)
                {
                    await context.Response.Body.WriteAsync(" "u8.ToArray(), context.RequestAborted);
                    await context.Response.Body.FlushAsync(context.RequestAborted);
                    await Task.Delay(50, context.RequestAborted);
                }
            }
        );

        await ShouldFail(model, "transient", "The provider did not deliver within 1 s.");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Connection_that_breaks_is_asked_for_once(bool inTheBody)
    {
        var model = pipeline.Script(
            async (context, _) =>
            {
                if (inTheBody)
                {
                    context.Response.ContentLength = 1_000;
                    await context.Response.WriteAsync("{");
                    await context.Response.Body.FlushAsync();
                }

                context.Abort();
            }
        );

        await ShouldFail(model, "transient", "The provider did not deliver: ");
    }

    [Fact]
    public async Task Model_without_a_turn_gives_the_slot_back_and_spends_no_attempt()
    {
        var finish = new TaskCompletionSource();
        var model = pipeline.Script(
            "single",
            async (context, _) =>
            {
                await finish.Task;
                await context.Response.WriteAsync(Base64(Png));
            }
        );
        var first = NewRender("single");
        await pipeline.SendAsync(first);
        await model.Called;

        var told = await pipeline.RenderAsync<RenderPostponed>(NewRender("single"));

        told.Reason.ShouldBe("single has no turn free.");
        finish.SetResult();
        await pipeline.AnswerAsync<RenderSucceeded>(first);
        model.Calls.ShouldBe(1);
    }

    [Fact]
    public async Task Unknown_model_is_refused() =>
        (await pipeline.RenderAsync<RenderFailed>(NewRender("nobody"))).ShouldSatisfyAllConditions(
            x => x.Kind.ShouldBe("refused"),
            x => x.Reason.ShouldBe("model: 'nobody' is not known here.")
        );

    [Fact]
    public async Task Offline_painter_paints_the_same_picture_for_the_same_request()
    {
        var (one, two) = (NewRender(ModelCatalog.OfflinePainter), NewRender(ModelCatalog.OfflinePainter));
        var other = NewRender(ModelCatalog.OfflinePainter) with { Seed = 8 };

        var keys = new List<string>();
        foreach (var render in (RenderImage[])[one, two, other])
            keys.Add((await pipeline.RenderAsync<RenderSucceeded>(render)).ObjectKey.Split('/')[2]);

        keys[1].ShouldBe(keys[0]);
        (keys[2] == keys[0]).ShouldBeFalse("another seed is another picture");
    }

    private async Task ShouldFail(ScriptedModel model, string kind, string reason)
    {
        var render = NewRender(model.Name);

        var told = await pipeline.RenderAsync<RenderFailed>(render);

        told.Kind.ShouldBe(kind);
        told.Reason.ShouldContain(reason);
        told.Attempt.ShouldBe(1);
        model.Calls.ShouldBe(1);
        (await pipeline.AskAsync(Attempt, render.GenerationId)).ShouldBe(kind);
        (await pipeline.AskAsync(Objects, render.GenerationId)).ShouldBe("0");
        (await pipeline.StoredAsync(render.GenerationId)).ShouldBe(0, "nothing is half-stored");
        (await pipeline.AskAsync(Leases, render.GenerationId)).ShouldBe("0");
    }

    private ScriptedModel ScriptUrl(Func<HttpContext, Task> serve)
    {
        ScriptedModel? model = null;
        model = pipeline.Script(
            (context, _) =>
                context.Response.WriteAsJsonAsync(new { data = new[] { new { url = UrlOf(model?.Name ?? "") } } })
        );
        model.ServeAsync = serve;
        return model;
    }

    private Uri UrlOf(string model) => new(pipeline.ProviderUrl, $"/{model}/picture.png");
}
