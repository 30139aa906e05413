using System.Net;
using System.Net.Sockets;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Storage;

/// <summary>The conformance suite against the real S3 server, and what is S3's own: its failures.</summary>
public sealed class S3ImageStoreTests : ImageStoreConformance
{
    private protected override IImageStore Create() => S3Settings.Store(S3Settings.Read());

    [Fact]
    public async Task Bucket_is_created_where_there_is_none()
    {
        var store = S3Settings.Store(S3Settings.With(bucket: $"test-{Guid.NewGuid():N}"));

        await Should.ThrowAsync<StorageMisconfiguredException>(() => store.ListAsync("", null, default));
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => store.EnsureBucketAsync(default)));

        (await store.ListAsync("", null, default)).Objects.ShouldBeEmpty();
    }

    [Fact]
    public async Task Missing_bucket_is_named_as_a_wrong_setting()
    {
        var store = S3Settings.Store(S3Settings.With(bucket: "no-such-bucket-here"));

        var failure = await Should.ThrowAsync<StorageMisconfiguredException>(() =>
            store.PutOnceAsync("x", new byte[1], "image/png", default)
        );

        failure.Message.ShouldContain("no-such-bucket-here");
        failure.Message.ShouldContain("NoSuchBucket");
    }

    [Fact]
    public async Task Object_of_a_missing_bucket_is_no_missing_object()
    {
        var store = S3Settings.Store(S3Settings.With(bucket: "no-such-bucket-here"));

        var failure = await Should.ThrowAsync<StorageMisconfiguredException>(() => store.HeadAsync("x", default));

        failure.Message.ShouldContain("NoSuchBucket");
    }

    [Fact]
    public async Task Unknown_access_key_is_a_wrong_setting()
    {
        var store = S3Settings.Store(S3Settings.With(accessKey: "nobody"));

        var failure = await Should.ThrowAsync<StorageMisconfiguredException>(() =>
            store.PutOnceAsync("x", new byte[1], "image/png", default)
        );

        failure.Message.ShouldContain("InvalidAccessKeyId");
    }

    [Fact]
    public async Task Wrong_secret_is_a_wrong_setting_and_stays_out_of_the_message()
    {
        var store = S3Settings.Store(S3Settings.With(secretKey: "a wrong secret"));

        await Should.ThrowAsync<StorageMisconfiguredException>(() => store.HeadAsync("x", default));
        var failure = await Should.ThrowAsync<StorageMisconfiguredException>(() => store.ListAsync("", null, default));

        failure.Message.ShouldContain("SignatureDoesNotMatch");
        failure.Message.ShouldNotContain("a wrong secret");
    }

    [Fact]
    public async Task Server_that_refuses_connections_is_unavailable()
    {
        var store = S3Settings.Store(S3Settings.With(serviceUrl: "http://127.0.0.1:9"));

        await Should.ThrowAsync<StorageUnavailableException>(() => store.HeadAsync("x", default));
        await Should.ThrowAsync<StorageUnavailableException>(() => store.EnsureBucketAsync(default));
    }

    [Fact]
    public async Task Server_that_never_answers_is_unavailable_and_not_cancelled()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var address = $"http://{silent.LocalEndpoint}";
        var store = S3Settings.Store(
            S3Settings.With(serviceUrl: address, requestTimeout: TimeSpan.FromMilliseconds(200))
        );

        await Should.ThrowAsync<StorageUnavailableException>(() =>
            store.PutOnceAsync("x", new byte[1], "image/png", default)
        );
    }

    [Theory]
    [InlineData(503, "SlowDown", true)]
    [InlineData(500, "InternalError", true)]
    [InlineData(400, "ExpiredToken", true)]
    [InlineData(409, "ConditionalRequestConflict", true)]
    [InlineData(403, "AccessDenied", false)]
    [InlineData(404, "NoSuchBucket", false)]
    public async Task Answer_of_the_server_is_worth_a_retry_or_not(int status, string code, bool retry)
    {
        await using var server = await CannedS3.StartAsync(status, code);
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        var failure = await Should.ThrowAsync<Exception>(() =>
            store.PutOnceAsync("x", new byte[1], "image/png", default)
        );

        failure.ShouldBeOfType(retry ? typeof(StorageUnavailableException) : typeof(StorageMisconfiguredException));
        failure.Message.ShouldContain(code);
    }

    [Fact]
    public async Task Conflict_is_tried_again_by_itself()
    {
        await using var server = await CannedS3.StartAsync(409, "ConditionalRequestConflict", thenSucceedAfter: 2);
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        var outcome = await store.PutOnceAsync("x", new byte[1], "image/png", default);

        outcome.ShouldBe(PutOutcome.Stored);
        server.Requests.ShouldBe(3);
    }

    [Fact]
    public async Task Refused_deletions_are_returned_and_the_others_done()
    {
        await using var server = await CannedS3.StartAsync(
            200,
            body: """
            <DeleteResult><Error><Key>kept</Key><Code>AccessDenied</Code><Message>No.</Message></Error></DeleteResult>
            """
        );
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        var failed = await store.DeleteManyAsync(["gone", "kept"], default);

        failed.ShouldBe([new FailedDeletion("kept", "AccessDenied: No.")]);
    }

    [Theory]
    [InlineData("<html><body>It works!</body></html>")]
    [InlineData("It works!")]
    public async Task Page_of_a_proxy_is_no_empty_bucket(string page)
    {
        await using var server = await CannedS3.StartAsync(200, body: page);
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        await Should.ThrowAsync<StorageUnavailableException>(() => store.ListAsync("projects/", null, default));
    }
}
