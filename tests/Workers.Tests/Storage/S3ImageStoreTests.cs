using System.Net;
using System.Net.Sockets;
using System.Xml;
using Amazon.S3;
using Amazon.S3.Model;
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
    [InlineData(405, "MethodNotAllowed", false)]
    [InlineData(501, "NotImplemented", false)]
    [InlineData(502, "BadGateway", true)]
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

    /// <summary>A key that XML 1.0 cannot hold stops neither a listing that has it nor one that goes on behind it.</summary>
    [Fact]
    public async Task Foreign_keys_are_listed_and_deleted_whatever_they_are_made_of()
    {
        var settings = S3Settings.With(bucket: $"test-{Guid.NewGuid():N}");
        var (store, s3) = (S3Settings.Store(settings), S3Client.Create(settings, settings.ServiceUrl));
        await store.EnsureBucketAsync(default);
        string[] keys = [" ", "a+b c%2F", "bad\uFFFE.png", "line\r\nend", "low\u0001", "\uFFFF"];
        foreach (var key in keys)
            await s3.PutObjectAsync(
                new PutObjectRequest
                {
                    BucketName = settings.Bucket,
                    Key = key,
                    ContentBody = "x",
                }
            );
        var sorted = keys.Order(Comparer<string>.Create(KeyOrder.Compare)).ToList();

        (await store.ListAsync("", null, default)).Objects.Select(x => x.Key).ShouldBe(sorted);
        (await store.ListAsync("bad", null, default)).Objects.ShouldHaveSingleItem().Key.ShouldBe("bad\uFFFE.png");
        var walked = new List<string>();
        string? after = null;
        do
        {
            var page = await store.ListAfterAsync(after, 1, default);
            walked.AddRange(page.Objects.Select(x => x.Key));
            after = page.Continuation;
        } while (after is not null);
        walked.ShouldBe(sorted);

        (await store.DeleteManyAsync(keys, default)).ShouldBeEmpty();
        (await store.ListAsync("", null, default)).Objects.ShouldBeEmpty();
        await s3.DeleteBucketAsync(settings.Bucket);
    }

    [Fact]
    public async Task Unfinished_uploads_are_listed_and_aborted_whatever_their_keys_are_made_of()
    {
        var settings = S3Settings.With(bucket: $"test-{Guid.NewGuid():N}");
        var (store, s3) = (S3Settings.Store(settings), S3Client.Create(settings, settings.ServiceUrl));
        await store.EnsureBucketAsync(default);
        string[] keys = ["a+b c", "bad\uFFFE.png", "low\u0001", "\uFFFF"];
        foreach (var key in keys)
            await BeginAsync(s3, settings.Bucket, key);

        var page = await store.ListUnfinishedAsync(null, default);
        page.Uploads.Select(x => x.Key).ShouldBe(keys, ignoreOrder: true);
        page.Continuation.ShouldBeNull();
        foreach (var upload in page.Uploads)
            (await store.ListUnfinishedAsync(upload, default)).Uploads.ShouldNotContain(upload);

        foreach (var upload in page.Uploads)
            await store.AbortAsync(upload, default);
        (await store.ListUnfinishedAsync(null, default)).Uploads.ShouldBeEmpty();
        await s3.DeleteBucketAsync(settings.Bucket);
    }

    [Fact]
    public async Task Key_that_no_request_can_name_is_returned_and_the_others_are_deleted()
    {
        await using var server = await CannedS3.StartAsync(200, body: "<DeleteResult/>");
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        var failed = await store.DeleteManyAsync(["a/../b", "low\u0001/../b"], default);

        failed.ShouldHaveSingleItem().Key.ShouldBe("low\u0001/../b");
        server.Requests.ShouldBe(1);
    }

    [Fact]
    public async Task Store_that_does_not_encode_keys_is_read_as_it_is()
    {
        await using var server = await CannedS3.StartAsync(200, body: Listing("", Entry("a+b%20c")));
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        (await store.ListAsync("", null, default)).Objects.ShouldHaveSingleItem().Key.ShouldBe("a+b%20c");
    }

    [Fact]
    public async Task Key_twice_in_a_page_is_one_object_and_one_that_no_database_holds_is_passed_over()
    {
        await using var server = await CannedS3.StartAsync(
            200,
            body: Listing("<EncodingType>url</EncodingType>", Entry("a+b"), Entry("a+b"), Entry("nul%00"), Entry("z"))
        );
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        (await store.ListAsync("", null, default)).Objects.Select(x => x.Key).ShouldBe(["a b", "z"]);
    }

    [Fact]
    public async Task Pages_without_a_key_are_followed_to_the_next_key()
    {
        await using var server = await CannedS3.StartAsync([
            Listing("<IsTruncated>true</IsTruncated><NextContinuationToken>1</NextContinuationToken>"),
            Listing("<IsTruncated>true</IsTruncated><NextContinuationToken>2</NextContinuationToken>"),
            Listing("<IsTruncated>true</IsTruncated><NextContinuationToken>3</NextContinuationToken>", Entry("k")),
        ]);
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        var page = await store.ListAfterAsync("a", 10, default);

        page.Objects.ShouldHaveSingleItem().Key.ShouldBe("k");
        page.Continuation.ShouldBe("k");
        server.Queries.Select(x => x["continuation-token"].ToString()).ShouldBe(["", "1", "2"]);
    }

    [Fact]
    public async Task Listing_that_does_not_go_on_is_refused()
    {
        await using var server = await CannedS3.StartAsync(
            200,
            body: Listing("<IsTruncated>true</IsTruncated>", Entry("a"))
        );
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        (await store.ListAfterAsync(null, 1, default)).Continuation.ShouldBe("a");
        var failure = await Should.ThrowAsync<StorageMisconfiguredException>(() =>
            store.ListAfterAsync("a", 1, default)
        );

        failure.Message.ShouldContain("list what comes after 'a'");
        failure.Message.ShouldContain("does not go on");
    }

    [Theory]
    [InlineData("<html><body>It works!</body></html>")]
    [InlineData("It works!")]
    [InlineData("<ListBucketResult><Name>b</Name><Contents><Key>bad\uFFFE</Key></Contents></ListBucketResult>")]
    public async Task Page_that_cannot_be_read_is_named_and_no_empty_bucket(string page)
    {
        await using var server = await CannedS3.StartAsync(200, body: page);
        var store = S3Settings.Store(S3Settings.With(serviceUrl: server.Url));

        var failure = await Should.ThrowAsync<StorageMisconfiguredException>(() =>
            store.ListAfterAsync("k", 10, default)
        );

        failure.Message.ShouldContain("list what comes after 'k'");
        server.Requests.ShouldBe(3);
    }

    private static async Task BeginAsync(AmazonS3Client s3, string bucket, string key)
    {
        try
        {
            await s3.InitiateMultipartUploadAsync(bucket, key);
        }
        catch (XmlException)
        {
            // It has begun. The answer repeats the key, which XML cannot hold.
        }
    }

    private static string Listing(string fields, params string[] entries) =>
        $"<ListBucketResult><Name>b</Name>{fields}{string.Concat(entries)}</ListBucketResult>";

    private static string Entry(string key) =>
        $"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>";
}
