using System.Net;
using System.Text;
using System.Web;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Storage;

/// <summary>What every <see cref="IImageStore"/> must do. Runs under a prefix of its own and removes it afterwards.</summary>
public abstract class ImageStoreConformance : IAsyncLifetime
{
    private static readonly byte[] Bytes = Encoding.UTF8.GetBytes("not really a picture");

    private readonly string _prefix = $"conformance/{Guid.NewGuid():D}/";
    private IImageStore _store = null!;

    private protected abstract IImageStore Create();

    public static TheoryData<string> AwkwardKeys =>
        [
            "plain.png",
            "with space.png",
            "a+b.png",
            "100%.png",
            "slash%2Fescaped.png",
            "quote\"'<&>.png",
            "question?mark=1&x#y.png",
            "sémaphore-日本語-🪁.png",
            "e\u0301 is not \u00e9.png",
            "trailing/",
            "double//slash",
            "dots...png",
            "semi;colon:at@,comma=!$*()[]{}|\\^`~",
        ];

    [Fact]
    public async Task Object_comes_back_byte_for_byte()
    {
        var key = _prefix + "object";
        byte[] content = [.. Enumerable.Range(0, 70_000).Select(x => (byte)(x * 31))];

        (await _store.PutOnceAsync(key, content, "image/png", default)).ShouldBe(PutOutcome.Stored);

        (await ReadAsync(key)).ShouldBe(content);
        var head = (await _store.HeadAsync(key, default)).ShouldNotBeNull();
        head.Key.ShouldBe(key);
        head.Size.ShouldBe(content.Length);
        head.ContentType.ShouldBe("image/png");
        head.ETag.ShouldNotBeNullOrEmpty();
        head.ETag.ShouldNotContain("\"");
        (DateTimeOffset.UtcNow - head.LastModified).Duration().ShouldBeLessThan(TimeSpan.FromMinutes(2));
    }

    [Fact]
    public async Task Second_put_changes_nothing_and_says_so()
    {
        var key = _prefix + "once";
        await _store.PutOnceAsync(key, Bytes, "image/png", default);

        var second = await _store.PutOnceAsync(key, "other"u8.ToArray(), "image/gif", default);

        second.ShouldBe(PutOutcome.AlreadyThere);
        (await ReadAsync(key)).ShouldBe(Bytes);
        (await _store.HeadAsync(key, default)).ShouldNotBeNull().ContentType.ShouldBe("image/png");
    }

    [Fact]
    public async Task Of_sixteen_puts_at_once_one_stores_and_its_bytes_stay()
    {
        for (var round = 0; round < 5; round++)
        {
            var key = $"{_prefix}race-{round}";
            var puts = Enumerable
                .Range(0, 16)
                .Select(x =>
                    _store.PutOnceAsync(key, Enumerable.Repeat((byte)x, 20_000).ToArray(), "image/png", default)
                );

            var outcomes = await Task.WhenAll(puts);

            outcomes.Count(x => x == PutOutcome.Stored).ShouldBe(1);
            var winner = Array.IndexOf(outcomes, PutOutcome.Stored);
            (await ReadAsync(key)).ShouldBe(Enumerable.Repeat((byte)winner, 20_000));
        }
    }

    [Theory]
    [MemberData(nameof(AwkwardKeys))]
    public async Task Awkward_key_is_kept_as_it_is(string name)
    {
        var key = _prefix + name;
        await _store.PutOnceAsync(key, Bytes, "image/png", default);

        (await ReadAsync(key)).ShouldBe(Bytes);
        (await ListAllAsync(_prefix)).Select(x => x.Key).ShouldBe([key]);
        using var client = new HttpClient();
        (
            await client.GetByteArrayAsync((await _store.PresignGetAsync(key, TimeSpan.FromMinutes(1), default)).Url)
        ).ShouldBe(Bytes);
        (await _store.DeleteManyAsync([key], default)).ShouldBeEmpty();
        (await _store.HeadAsync(key, default)).ShouldBeNull();
    }

    [Fact]
    public async Task Key_may_have_1024_bytes_and_no_more()
    {
        var longest = _prefix + new string('é', (1_024 - _prefix.Length) / 2);
        longest = longest.PadRight(longest.Length + 1_024 - Encoding.UTF8.GetByteCount(longest), 'x');

        await _store.PutOnceAsync(longest, Bytes, "image/png", default);

        (await ReadAsync(longest)).ShouldBe(Bytes);
        await Should.ThrowAsync<ArgumentException>(() =>
            _store.PutOnceAsync(longest + "x", Bytes, "image/png", default)
        );
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/../b")]
    [InlineData("./a")]
    [InlineData("a\nb")]
    [InlineData("a\0b")]
    public async Task Key_that_would_become_another_one_is_refused(string key)
    {
        await Should.ThrowAsync<ArgumentException>(() => _store.PutOnceAsync(key, Bytes, "image/png", default));
        await Should.ThrowAsync<ArgumentException>(() => _store.DeleteAsync(key, default));
    }

    [Fact]
    public async Task Absent_object_is_null_and_may_be_deleted()
    {
        var key = _prefix + "absent";
        (await _store.HeadAsync(key, default)).ShouldBeNull();
        (await _store.OpenReadAsync(key, default)).ShouldBeNull();

        await _store.DeleteAsync(key, default);
        (await _store.DeleteManyAsync([key, key + "2"], default)).ShouldBeEmpty();
        (await _store.DeleteManyAsync([], default)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Deleted_object_is_gone_and_its_key_is_free()
    {
        var key = _prefix + "deleted";
        await _store.PutOnceAsync(key, Bytes, "image/png", default);

        await _store.DeleteAsync(key, default);

        (await _store.HeadAsync(key, default)).ShouldBeNull();
        (await _store.PutOnceAsync(key, Bytes, "image/png", default)).ShouldBe(PutOutcome.Stored);
    }

    [Fact]
    public async Task Listing_pages_through_everything_once_and_in_order()
    {
        const int Count = IImageStore.PageSize + 100;
        var keys = Enumerable.Range(0, Count).Select(x => $"{_prefix}many/{x:D5}").ToList();
        await Parallel.ForEachAsync(
            keys,
            new ParallelOptions { MaxDegreeOfParallelism = 16 },
            async (key, stop) => await _store.PutOnceAsync(key, Bytes, "image/png", stop)
        );

        var first = await _store.ListAsync(_prefix, null, default);
        first.Objects.Count.ShouldBe(IImageStore.PageSize);
        first.Continuation.ShouldNotBeNull();
        var all = await ListAllAsync(_prefix);

        all.Select(x => x.Key).ShouldBe(keys);
        all.ShouldAllBe(x => x.Size == Bytes.Length && x.ETag.Length > 0 && x.ContentType == null);
        var none = await _store.ListAsync(_prefix + "nothing", null, default);
        none.Objects.ShouldBeEmpty();
        none.Continuation.ShouldBeNull();
        await Should.ThrowAsync<ArgumentException>(() => _store.DeleteManyAsync(keys, default));
        (await _store.DeleteManyAsync(keys.Take(IImageStore.PageSize).ToList(), default)).ShouldBeEmpty();
        (await ListAllAsync(_prefix)).Select(x => x.Key).ShouldBe(keys.Skip(IImageStore.PageSize));
    }

    [Fact]
    public async Task Presigned_url_reads_the_object_and_a_changed_one_does_not()
    {
        var key = _prefix + "presigned";
        await _store.PutOnceAsync(key, Bytes, "image/png", default);
        await _store.PutOnceAsync(key + "2", Bytes, "image/png", default);
        using var client = new HttpClient();

        var signed = await _store.PresignGetAsync(key, TimeSpan.FromMinutes(1), default);
        using var answer = await client.GetAsync(signed.Url);

        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        answer.Content.Headers.ContentType?.MediaType.ShouldBe("image/png");
        (await answer.Content.ReadAsByteArrayAsync()).ShouldBe(Bytes);
        (signed.ExpiresAt - DateTimeOffset.UtcNow).ShouldBeInRange(TimeSpan.FromSeconds(50), TimeSpan.FromSeconds(60));

        var text = signed.Url.AbsoluteUri;
        var parameters = HttpUtility.ParseQueryString(signed.Url.Query);
        var signedAt = DateTimeOffset.ParseExact(parameters["X-Amz-Date"] ?? "", "yyyyMMdd'T'HHmmssK", null);
        var lifetime = int.Parse(parameters["X-Amz-Expires"] ?? "", null);
        // Never promised for longer than it lasts; a second's boundary may lie between the two readings of the clock.
        (signedAt.AddSeconds(lifetime) - signed.ExpiresAt).ShouldBeInRange(TimeSpan.Zero, TimeSpan.FromSeconds(1));
        var signature = parameters["X-Amz-Signature"].ShouldNotBeNull();
        string[] changed =
        [
            text.Replace("/presigned?", "/presigned2?", StringComparison.Ordinal),
            text.Replace("X-Amz-Expires=", "X-Amz-Expires=9", StringComparison.Ordinal),
            text.Replace(signature, new string([.. signature.Reverse()]), StringComparison.Ordinal),
        ];
        foreach (var url in changed)
        {
            (url == text).ShouldBeFalse();
            using var refused = await client.GetAsync(new Uri(url));
            refused.StatusCode.ShouldBe(HttpStatusCode.Forbidden, url);
        }
    }

    [Fact]
    public async Task Presigned_url_ends_when_it_said()
    {
        var key = _prefix + "brief";
        await _store.PutOnceAsync(key, Bytes, "image/png", default);
        var signed = await _store.PresignGetAsync(key, TimeSpan.FromSeconds(3), default);
        using var client = new HttpClient();
        (await client.GetByteArrayAsync(signed.Url)).ShouldBe(Bytes);

        HttpStatusCode status;
        var giveUp = DateTimeOffset.UtcNow.AddSeconds(30);
        do
        {
            await Task.Delay(200);
            using var answer = await client.GetAsync(signed.Url);
            status = answer.StatusCode;
        } while (status == HttpStatusCode.OK && DateTimeOffset.UtcNow < giveUp);

        status.ShouldBe(HttpStatusCode.Forbidden);
        DateTimeOffset.UtcNow.ShouldBeGreaterThan(signed.ExpiresAt.AddSeconds(-1));
    }

    [Fact]
    public async Task Url_that_lives_longer_than_the_store_allows_is_refused()
    {
        await Should.ThrowAsync<ArgumentException>(() =>
            _store.PresignGetAsync(_prefix + "x", IImageStore.PresignLimit + TimeSpan.FromSeconds(1), default)
        );
        await Should.ThrowAsync<ArgumentException>(() => _store.PresignGetAsync(_prefix + "x", TimeSpan.Zero, default));
        await _store.PresignGetAsync(_prefix + "x", IImageStore.PresignLimit, default);
    }

    [Fact]
    public async Task Bucket_may_be_ensured_by_many_at_once()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _store.EnsureBucketAsync(default)));
    }

    [Fact]
    public async Task Cancellation_by_the_caller_is_a_cancellation()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(() =>
            _store.PutOnceAsync(_prefix + "cancelled", Bytes, "image/png", cancelled.Token)
        );
        (await _store.HeadAsync(_prefix + "cancelled", default)).ShouldBeNull();
    }

    public async Task InitializeAsync()
    {
        _store = Create();
        await _store.EnsureBucketAsync(default);
    }

    public async Task DisposeAsync()
    {
        foreach (var page in (await ListAllAsync(_prefix)).Select(x => x.Key).Chunk(IImageStore.PageSize))
            await _store.DeleteManyAsync(page, default);
    }

    private async Task<byte[]> ReadAsync(string key)
    {
        await using var stream = (await _store.OpenReadAsync(key, default)).ShouldNotBeNull();
        using var copy = new MemoryStream();
        await stream.CopyToAsync(copy);
        return copy.ToArray();
    }

    private async Task<List<StoredObject>> ListAllAsync(string prefix)
    {
        var all = new List<StoredObject>();
        string? continuation = null;
        do
        {
            var page = await _store.ListAsync(prefix, continuation, default);
            all.AddRange(page.Objects);
            continuation = page.Continuation;
        } while (continuation is not null);
        return all;
    }
}
