using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Importing;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Fetching;

public sealed class SourceFetcherTests
{
    private const int SizeLimit = 100_000;

    private static ImportingOptions Trusting =>
        new()
        {
            AllowPrivateNetworks = true,
            SizeLimitBytes = SizeLimit,
            RedirectLimit = 3,
            FetchTimeout = TimeSpan.FromSeconds(10),
        };

    private static ImportingOptions Hasty =>
        new()
        {
            AllowPrivateNetworks = true,
            SizeLimitBytes = SizeLimit,
            FetchTimeout = TimeSpan.FromMilliseconds(500),
            ConnectTimeout = TimeSpan.FromMilliseconds(500),
        };

    [Theory]
    [InlineData(1)]
    [InlineData(SizeLimit)]
    public async Task File_up_to_the_limit_comes_whole(int size)
    {
        byte[] body = [.. Enumerable.Range(0, size).Select(x => (byte)x)];
        await using var stub = await HttpStub.StartAsync(body);

        (await FetchAsync(stub.Url, Trusting)).ShouldBeOfType<SourceBytes>().Content.ToArray().ShouldBe(body);
    }

    [Fact]
    public async Task File_over_the_limit_is_refused_from_its_announced_length()
    {
        await using var stub = await HttpStub.StartAsync(
            (context, _) =>
            {
                context.Response.ContentLength = SizeLimit + 1;
                return context.Response.Body.WriteAsync(new byte[SizeLimit + 1]).AsTask();
            }
        );

        (await ReasonAsync(stub.Url, Trusting)).ShouldBe($"sourceUrl: the file is larger than {SizeLimit} bytes.");
    }

    [Fact]
    public async Task Endless_body_is_cut_off_at_the_limit()
    {
        await using var stub = await HttpStub.StartAsync(
            async (context, _) =>
            {
                while (!context.RequestAborted.IsCancellationRequested)
                    await context.Response.Body.WriteAsync(new byte[10_000], context.RequestAborted);
            }
        );

        (await ReasonAsync(stub.Url, Trusting)).ShouldContain("larger than");
    }

    [Theory]
    [InlineData(400)]
    [InlineData(401)]
    [InlineData(404)]
    [InlineData(410)]
    [InlineData(304)]
    public async Task Answer_that_stays_is_a_refusal_with_its_status(int status)
    {
        await using var stub = await HttpStub.StartAsync(
            (context, _) => Task.FromResult(context.Response.StatusCode = status)
        );

        (await ReasonAsync(stub.Url, Trusting)).ShouldStartWith($"sourceUrl: the server answered {status} ");
    }

    [Theory]
    [InlineData(408)]
    [InlineData(425)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(502)]
    [InlineData(503)]
    public async Task Answer_that_may_pass_is_worth_a_retry(int status)
    {
        await using var stub = await HttpStub.StartAsync(
            (context, _) => Task.FromResult(context.Response.StatusCode = status)
        );

        var failure = await Should.ThrowAsync<SourceUnavailableException>(() => FetchAsync(stub.Url, Trusting));

        failure.Message.ShouldContain($"{status}");
    }

    [Fact]
    public async Task Redirects_are_followed_up_to_the_limit()
    {
        await using var stub = await HttpStub.StartAsync(
            (context, number) =>
            {
                if (number > 3)
                    return context.Response.WriteAsync("there");
                context.Response.Redirect($"/hop/{number}");
                return Task.CompletedTask;
            }
        );

        (await FetchAsync(stub.Url, Trusting))
            .ShouldBeOfType<SourceBytes>()
            .Content.ToArray()
            .ShouldBe("there"u8.ToArray());
        stub.Requests.ShouldBe(4);
    }

    [Fact]
    public async Task Redirect_loop_ends_at_the_limit()
    {
        await using var stub = await HttpStub.StartAsync(
            (context, _) =>
            {
                context.Response.Redirect("/again");
                return Task.CompletedTask;
            }
        );

        (await ReasonAsync(stub.Url, Trusting)).ShouldBe("sourceUrl: the server redirects more than 3 times.");
        stub.Requests.ShouldBe(4);
    }

    [Theory]
    [InlineData("file:///etc/passwd", "http or https")]
    [InlineData("ftp://example.com/x", "http or https")]
    [InlineData("http://user:secret@example.com/x", "user name")]
    public async Task Redirect_keeps_to_the_rules_of_the_first_url(string target, string expected)
    {
        await using var stub = await HttpStub.StartAsync(
            (context, _) =>
            {
                context.Response.StatusCode = 302;
                context.Response.Headers.Location = target;
                return Task.CompletedTask;
            }
        );

        (await ReasonAsync(stub.Url, Trusting)).ShouldContain(expected);
    }

    [Fact]
    public async Task Body_that_is_too_slow_is_unavailable_and_not_cancelled()
    {
        await using var stub = await HttpStub.StartAsync(
            async (context, _) =>
            {
                while (!context.RequestAborted.IsCancellationRequested)
                {
                    await context.Response.Body.WriteAsync(new byte[1], context.RequestAborted);
                    await Task.Delay(50, context.RequestAborted);
                }
            }
        );

        await Should.ThrowAsync<SourceUnavailableException>(() => FetchAsync(stub.Url, Hasty));
    }

    [Fact]
    public async Task Server_that_never_answers_is_unavailable()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();

        await Should.ThrowAsync<SourceUnavailableException>(() =>
            FetchAsync(new Uri($"http://{silent.LocalEndpoint}/?token=secret"), Hasty)
        );
    }

    [Fact]
    public async Task Body_that_breaks_off_is_unavailable()
    {
        await using var stub = await HttpStub.StartAsync(
            async (context, _) =>
            {
                context.Response.ContentLength = 1_000;
                await context.Response.Body.WriteAsync(new byte[500]);
                await context.Response.Body.FlushAsync();
                context.Abort();
            }
        );

        await Should.ThrowAsync<SourceUnavailableException>(() => FetchAsync(stub.Url, Trusting));
    }

    [Fact]
    public async Task Nobody_listening_is_unavailable()
    {
        var failure = await Should.ThrowAsync<SourceUnavailableException>(() =>
            FetchAsync(new Uri("http://127.0.0.1:9/?token=secret"), Trusting)
        );

        failure.Message.ShouldNotContain("secret");
    }

    [Fact]
    public async Task Cancellation_by_the_caller_is_a_cancellation()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        using var fetcher = new SourceFetcher("sourceUrl", Trusting.FetchLimits, TimeProvider.System);

        await Should.ThrowAsync<OperationCanceledException>(() =>
            fetcher.FetchAsync(new Uri($"http://{silent.LocalEndpoint}"), soon.Token)
        );
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("localhost")]
    [InlineData("[::1]")]
    [InlineData("[::ffff:127.0.0.1]")]
    [InlineData("2130706433")]
    [InlineData("0x7f.1")]
    [InlineData("0.0.0.0")]
    public async Task Loopback_is_refused_however_it_is_written(string host)
    {
        await using var stub = await HttpStub.StartAsync([1]);
        var url = new Uri($"http://{host}:{stub.Url.Port}/");

        (await ReasonAsync(url, new ImportingOptions())).ShouldContain("not on the public internet");

        stub.Requests.ShouldBe(0);
    }

    private static async Task<SourceResult> FetchAsync(Uri url, ImportingOptions options)
    {
        using var fetcher = new SourceFetcher("sourceUrl", options.FetchLimits, TimeProvider.System);
        return await fetcher.FetchAsync(url, default);
    }

    private static async Task<string> ReasonAsync(Uri url, ImportingOptions options) =>
        (await FetchAsync(url, options)).ShouldBeOfType<SourceRefusal>().Reason;
}
