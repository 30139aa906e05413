using System.Xml.Linq;
using Microsoft.AspNetCore.Http;
using Pipeline.Workers.Cdn;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Cdn;

/// <summary>CloudFront's limits, and what other addresses become of keys that people have chosen.</summary>
public sealed class CloudFrontTests
{
    private const string Project = "projects/6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11/";

    [Theory]
    [InlineData("/{key}*", 15, 15)]
    [InlineData("/{key}*", 16, 1)] // More wildcards than CloudFront takes at once.
    [InlineData("/{key}", 100, 100)]
    public async Task Paths_stay_within_the_quotas(string path, int objects, int paths)
    {
        var told = new List<string>();
        await using var stub = await HttpStub.StartAsync(
            async (context, _) =>
            {
                var batch = await XElement.LoadAsync(context.Request.Body, LoadOptions.None, default);
                told.AddRange(batch.Descendants().Where(x => x.Name.LocalName == "Path").Select(x => x.Value));
                context.Response.StatusCode = StatusCodes.Status201Created;
            }
        );
        string[] keys = [.. Enumerable.Range(0, objects).Select(x => $"{Project}{Guid.NewGuid()}/{x}.png")];

        await Build(stub.Url, path).InvalidateAsync(keys, "reference", default);

        told.Count.ShouldBe(paths);
        keys.ShouldAllBe(x => told.Any(y => y == $"/{x}" || y.EndsWith('*') && $"/{x}".StartsWith(y.TrimEnd('*'))));
        told.ShouldAllBe(x => x.StartsWith($"/{Project}"));
    }

    [Theory]
    [InlineData("TooManyInvalidationsInProgress", typeof(CdnUnavailableException))]
    [InlineData("Throttling", typeof(CdnUnavailableException))]
    [InlineData("InvalidArgument", typeof(CdnRefusedException))]
    public async Task Error_that_passes_by_itself_is_an_outage_though_it_is_answered_with_400(string code, Type failure)
    {
        await using var stub = await HttpStub.StartAsync(
            async (context, _) =>
            {
                context.Response.StatusCode = StatusCodes.Status400BadRequest;
                await context.Response.WriteAsync(
                    $"""
                    <?xml version="1.0"?>
                    <ErrorResponse xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Error><Type>Sender</Type>
                    <Code>{code}</Code><Message>No.</Message></Error><RequestId>1</RequestId></ErrorResponse>
                    """
                );
            }
        );

        var error = await Record.ExceptionAsync(() =>
            Build(stub.Url, "/{key}*").InvalidateAsync(["a.png"], "reference", default)
        );

        error.ShouldNotBeNull().GetType().ShouldBe(failure);
    }

    [Fact]
    public async Task Key_with_characters_that_mean_something_in_an_address_is_told_as_it_is()
    {
        const string Key = "projects/p/i/derived/a b?c#d%é.png";
        var seen = new List<string>();
        await using var stub = await HttpStub.StartAsync(
            (context, _) =>
            {
                seen.Add(context.Request.Path.Value!);
                return Task.CompletedTask;
            }
        );
        var cdn = CdnTests.Build(
            ("Cdn:Purge:Url", stub.Url.ToString()),
            ("Cdn:Supabase:Url", stub.Url.ToString()),
            ("Cdn:Supabase:Bucket", "pictures"),
            ("Cdn:Supabase:ServiceKey", "service-key")
        );

        await cdn.InvalidateAsync([Key], "reference", default);

        seen.ShouldBe([$"/storage/v1/cdn/pictures/{Key}", $"/storage/v1/cdn/pictures/{Key}", $"/{Key}"]);
    }

    [Fact]
    public async Task Redirect_is_not_followed_with_the_credentials()
    {
        await using var elsewhere = await HttpStub.StartAsync((_, _) => Task.CompletedTask);
        await using var stub = await HttpStub.StartAsync(
            (context, _) =>
            {
                context.Response.Redirect(elsewhere.Url.ToString(), permanent: false, preserveMethod: true);
                return Task.CompletedTask;
            }
        );
        var cdn = CdnTests.Build(("Cdn:Purge:Url", stub.Url.ToString()), ("Cdn:Purge:Authorization", "Bearer secret"));

        await Should.ThrowAsync<CdnRefusedException>(() => cdn.InvalidateAsync(["a.png"], "reference", default));

        elsewhere.Requests.ShouldBe(0);
    }

    private static CdnInvalidation Build(Uri endpoint, string path) =>
        CdnTests.Build(
            ("Cdn:CloudFront:DistributionId", "EDFDVBD6EXAMPLE"),
            ("Cdn:CloudFront:AccessKey", "AKIDEXAMPLE"),
            ("Cdn:CloudFront:SecretKey", "secret"),
            ("Cdn:CloudFront:Endpoint", endpoint.ToString()),
            ("Cdn:CloudFront:Path", path)
        );
}
