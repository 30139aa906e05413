using System.Xml.Linq;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Pipeline.Workers.Cdn;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Cdn;

public sealed class CdnTests
{
    private const string Key = "projects/p/i/abc.png";

    // AWS's published example: IAM user guide, "Create a signed AWS API request", and its SigV4 test suite.
    private const string AccessKey = "AKIDEXAMPLE";
    private const string SecretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    private static readonly DateTimeOffset SignedAt = new(2015, 8, 30, 12, 36, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")] // get-vanilla
    [InlineData("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")] // post-vanilla
    public void Signature_is_that_of_the_published_test_suite(string method, string signature)
    {
        var request = new SigV4Request(method, new Uri("https://example.amazonaws.com/"), [], "us-east-1", "service");

        var headers = SigV4.Sign(request, AccessKey, SecretKey, SignedAt);

        headers["x-amz-date"].ShouldBe("20150830T123600Z");
        headers["Authorization"]
            .ShouldContain(
                "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date"
            );
        headers["Authorization"].ShouldEndWith($"Signature={signature}");
    }

    [Fact]
    public async Task CloudFront_gets_the_paths_under_the_same_reference_each_time()
    {
        var seen = new List<(string Path, string Authorization, XElement Body)>();
        await using var stub = await HttpStub.StartAsync(
            async (context, _) =>
            {
                var body = await XElement.LoadAsync(context.Request.Body, LoadOptions.None, default);
                seen.Add((context.Request.Path, context.Request.Headers.Authorization!, body));
                context.Response.StatusCode = StatusCodes.Status201Created;
            }
        );
        var cdn = Build(
            ("Cdn:CloudFront:DistributionId", "EDFDVBD6EXAMPLE"),
            ("Cdn:CloudFront:AccessKey", AccessKey),
            ("Cdn:CloudFront:SecretKey", SecretKey),
            ("Cdn:CloudFront:Endpoint", stub.Url.ToString())
        );

        await cdn.InvalidateAsync([Key, "b"], "reference", default);
        await cdn.InvalidateAsync([Key, "b"], "reference", default);

        seen.Count.ShouldBe(2);
        seen[0].Path.ShouldBe("/2020-05-31/distribution/EDFDVBD6EXAMPLE/invalidation");
        seen[0].Authorization.ShouldContain("/us-east-1/cloudfront/aws4_request");
        seen[0].Body.ToString().ShouldBe(seen[1].Body.ToString());
        XNamespace xml = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
        seen[0].Body.Element(xml + "CallerReference")!.Value.ShouldBe("reference");
        seen[0].Body.Descendants(xml + "Path").Select(x => x.Value).ShouldBe([$"/{Key}*", "/b*"]);
        seen[0].Body.Descendants(xml + "Quantity").Single().Value.ShouldBe("2");
    }

    [Fact]
    public void Cloudinary_signature_is_that_of_its_documentation() =>
        CloudinaryCdn
            .Sign(
                new Dictionary<string, string>(StringComparer.Ordinal)
                {
                    ["timestamp"] = "1315060510",
                    ["public_id"] = "sample_image",
                    ["eager"] = "w_400,h_300,c_pad|w_260,h_200,c_crop",
                },
                "abcd"
            )
            .ShouldBe("bfd09f95f331f558cbd1320e67aa8d488770583e");

    [Theory]
    [InlineData("""{"result":"ok"}""", true)]
    [InlineData("""{"result":"not found"}""", true)]
    [InlineData("""{"result":"error"}""", false)]
    [InlineData("nonsense", false)]
    public async Task Cloudinary_destroys_with_invalidate_and_reads_the_answer(string answer, bool isDone)
    {
        IFormCollection? form = null;
        await using var stub = await HttpStub.StartAsync(
            async (context, _) =>
            {
                context.Request.Path.Value.ShouldBe("/v1_1/cloud/image/destroy");
                form = await context.Request.ReadFormAsync();
                await context.Response.WriteAsync(answer);
            }
        );
        var cdn = Build(
            ("Cdn:Cloudinary:CloudName", "cloud"),
            ("Cdn:Cloudinary:ApiKey", "key"),
            ("Cdn:Cloudinary:ApiSecret", "secret"),
            ("Cdn:Cloudinary:Endpoint", stub.Url.ToString())
        );

        var call = () => cdn.InvalidateAsync([Key], "reference", default);

        if (isDone)
            await call.ShouldNotThrowAsync();
        else
            await call.ShouldThrowAsync<CdnRefusedException>();
        form.ShouldNotBeNull()["invalidate"].ToString().ShouldBe("true");
        form["public_id"].ToString().ShouldBe("projects/p/i/abc");
        form["signature"].ToString().Length.ShouldBe(40);
    }

    [Fact]
    public async Task Supabase_forgets_the_object_and_its_transformations()
    {
        var seen = new List<string>();
        await using var stub = await HttpStub.StartAsync(
            (context, _) =>
            {
                var request = context.Request;
                seen.Add($"{request.Method} {request.Path}{request.QueryString} {request.Headers.Authorization}");
                return Task.CompletedTask;
            }
        );
        var cdn = Build(
            ("Cdn:Supabase:Url", stub.Url.ToString()),
            ("Cdn:Supabase:Bucket", "pictures"),
            ("Cdn:Supabase:ServiceKey", "service-key")
        );

        await cdn.InvalidateAsync([Key], "reference", default);

        seen.ShouldBe([
            $"DELETE /storage/v1/cdn/pictures/{Key} Bearer service-key",
            $"DELETE /storage/v1/cdn/pictures/{Key}?transformations=true Bearer service-key",
        ]);
    }

    [Theory]
    [InlineData(200, null)]
    [InlineData(404, null)]
    [InlineData(403, typeof(CdnRefusedException))]
    [InlineData(429, typeof(CdnUnavailableException))]
    [InlineData(503, typeof(CdnUnavailableException))]
    public async Task Answer_of_a_purge_decides_what_follows(int status, Type? failure)
    {
        await using var stub = await HttpStub.StartAsync(
            (context, _) =>
            {
                context.Request.Method.ShouldBe("PURGE");
                context.Request.Path.Value.ShouldBe($"/{Key}");
                context.Response.StatusCode = status;
                return Task.CompletedTask;
            }
        );
        var cdn = Build(("Cdn:Purge:Url", stub.Url.ToString()));

        var error = await Record.ExceptionAsync(() => cdn.InvalidateAsync([Key], "reference", default));

        error?.GetType().ShouldBe(failure);
        (error is null).ShouldBe(failure is null);
    }

    [Fact]
    public async Task Cache_that_is_away_is_an_outage()
    {
        var cdn = Build(("Cdn:Purge:Url", "http://127.0.0.1:1/"));

        await Should.ThrowAsync<CdnUnavailableException>(() => cdn.InvalidateAsync([Key], "reference", default));
    }

    [Theory]
    [InlineData("Cdn:CloudFront:DistributionId", "Cdn:CloudFront:AccessKey")]
    [InlineData("Cdn:Cloudinary:CloudName", "Cdn:Cloudinary:ApiSecret")]
    [InlineData("Cdn:Supabase:Bucket", "Cdn:Supabase:ServiceKey")]
    [InlineData("Cdn:Supabase:Bucket", "Cdn:Supabase:Url")]
    [InlineData("Cdn:Purge:Authorization", "Cdn:Purge:Url")]
    public void Part_that_is_named_must_be_complete(string given, string missing) =>
        Should.Throw<OptionsValidationException>(() => Build((given, "x"))).Message.ShouldContain(missing);

    [Fact]
    public void Nothing_is_told_where_nothing_is_configured() => Build().IsConfigured.ShouldBeFalse();

    internal static CdnInvalidation Build(params (string Name, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(x => KeyValuePair.Create(x.Name, (string?)x.Value)))
            .Build();
        var services = new ServiceCollection().AddMetrics();
        services.AddCdn(configuration);
        return services.BuildServiceProvider().GetRequiredService<CdnInvalidation>();
    }
}
