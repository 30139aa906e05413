using Amazon.S3.Model;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Rebuilds that the real S3 server refuses, or does not answer.</summary>
public sealed class CatalogRefusalTests : CatalogStack
{
    private const int Keys = 40;

    private S3Proxy _store = null!;

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            .. base.WorkerSettings,
            ("Storage__ServiceUrl", _store.Url),
            ("Storage__RequestRetries", "0"),
            ("Cataloguing__PageSize", "2"),
            ("Cataloguing__PartCount", "2"),
            ("Cataloguing__ConcurrentPages", "1"),
            ("Cataloguing__BackoffFirst", "00:00:00.100"),
            ("Cataloguing__BackoffLimit", "00:00:00.500"),
        ];

    public override async Task InitializeAsync()
    {
        _store = await S3Proxy.StartAsync(Bucket.Client);
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _store.DisposeAsync();
    }

    [Fact]
    public async Task Bucket_that_is_not_there_is_named_and_the_catalogue_stays_as_it_is()
    {
        await PlantAsync(3);
        await Bucket.Client.DeleteBucketAsync(Bucket.Name);
        HostWorker("worker");
        await using var publisher = NewPublisher();

        var receipt = await RebuildAsync(publisher, during: null, outcome: "failed");

        receipt.ShouldContain("NoSuchBucket");
        (await ScalarAsync<string>("select state from status.catalog_rebuilds")).ShouldBe("Abandoned");
        (await ScalarAsync<long>("select count(*) from status.catalog")).ShouldBe(3);

        await Bucket.Client.PutBucketAsync(Bucket.Name);
        await RebuildAsync(publisher, during: null);
        (await ScalarAsync<long>("select count(*) from status.catalog")).ShouldBe(0);
    }

    [Fact]
    public async Task Refusal_by_the_buckets_policy_amid_a_rebuild_is_named_and_removes_nothing()
    {
        await PutAsync();
        await PlantAsync(3);
        HostWorker("worker");
        await using var publisher = NewPublisher();
        var listings = 0;
        _store.Fate = async call =>
        {
            // The server itself refuses from here on, amid the pages of the first part.
            if (call.Kind == "list" && Interlocked.Increment(ref listings) == 20)
                await DenyListingAsync();
            return S3Fate.Pass;
        };

        var receipt = await RebuildAsync(publisher, during: null, outcome: "failed");

        receipt.ShouldContain("AccessDenied");
        receipt.ShouldContain(Bucket.Name);
        (await ScalarAsync<string>("select state from status.catalog_rebuilds")).ShouldBe("Abandoned");
        (await ScalarAsync<long>("select removed from status.catalog_rebuilds")).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from status.catalog where key like 'stale/%'")).ShouldBe(3);

        await Bucket.Client.DeleteBucketPolicyAsync(Bucket.Name);
        await RebuildAsync(publisher, during: null);
        await ShouldAgreeAsync();
    }

    [Fact]
    public async Task Server_that_goes_down_amid_a_rebuild_is_waited_for_visibly_and_the_rebuild_goes_on_where_it_was()
    {
        await PutAsync();
        await PlantAsync(3);
        HostWorker("worker");
        await using var publisher = NewPublisher();
        var (listings, isDown) = (0, false);
        _store.Fate = call =>
        {
            if (call.Kind == "list" && Interlocked.Increment(ref listings) == 20)
                Volatile.Write(ref isDown, true);
            return Task.FromResult(Volatile.Read(ref isDown) ? S3Fate.Break : S3Fate.Pass);
        };

        long pages = 0;
        await RebuildAsync(
            publisher,
            async rebuild =>
            {
                await UntilAsync(
                    "it says that it waits, and for what",
                    async () =>
                        await ScalarAsync<bool>(
                            "select coalesce(wait_reason like '%cannot be reached%', false) from status.catalog_rebuilds"
                        )
                );
                pages = await ScalarAsync<long>("select pages from status.catalog_rebuilds where id = $1", rebuild);
                (await ScalarAsync<long>("select count(*) from status.catalog where key like 'stale/%'")).ShouldBe(3);
                listings = int.MinValue;
                Volatile.Write(ref isDown, false);
                return Task.CompletedTask;
            }
        );

        pages.ShouldBeGreaterThan(0);
        // Each page once: the ones before the outage were not listed again.
        (await ScalarAsync<long>("select pages from status.catalog_rebuilds")).ShouldBeInRange(Keys / 2, Keys / 2 + 2);
        (await ScalarAsync<long>("select keys from status.catalog_rebuilds")).ShouldBe(Keys);
        (await ScalarAsync<long>("select removed from status.catalog_rebuilds")).ShouldBe(3);
        await ShouldAgreeAsync();
    }

    private Task PutAsync() =>
        Parallel.ForEachAsync(
            Enumerable.Range(0, Keys),
            async (x, _) => await Bucket.PutAsync($"{(char)('a' + x / 20)}/{x:D3}.jpg", [1])
        );

    private async Task ShouldAgreeAsync() =>
        (await RowsAsync("select key from status.catalog order by key", x => x.GetString(0))).ShouldBe(
            await Bucket.KeysAsync()
        );

    /// <summary>The workers' own user may still do everything else.</summary>
    private async Task DenyListingAsync() =>
        await Bucket.Client.PutBucketPolicyAsync(
            new PutBucketPolicyRequest
            {
                BucketName = Bucket.Name,
                Policy = $$"""
                {
                  "Version": "2012-10-17",
                  "Statement": [{
                    "Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket",
                    "Resource": "arn:aws:s3:::{{Bucket.Name}}"
                  }]
                }
                """,
            }
        );
}
